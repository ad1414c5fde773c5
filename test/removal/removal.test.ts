// One provider removed, here; each in turn by test/removal/run.ts.

import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parse } from 'yaml'
import { configWithout, foldersOf, shipped } from '../helpers/shipped.ts'
import { tempDir } from '../helpers/tmp.ts'
import { environmentThere, projectWithout } from './project.ts'

const [first] = Object.keys(shipped.providers)

t.test('without the first provider the rest is valid, its cases hold, and each folder conforms', { skip: first === undefined && 'no provider is shipped' }, async t => {
  const id = first as string
  const dir = tempDir(t)
  projectWithout(id, dir)
  const { providers } = parse(readFileSync(join(dir, 'gateway.config.yaml'), 'utf8')) as { providers: object }
  t.notOk(Object.hasOwn(providers, id))
  for (const folder of ['plugins', 'config/providers']) t.notOk(existsSync(join(dir, folder, id)), `${folder}/${id} is gone`)
  for (const args of [['gateway/cli.ts', 'validate'], ['gateway/cli.ts', 'test'], ['test/conformance/provider.test.ts']]) {
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: dir, env: environmentThere(), encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 })
    t.equal(status, 0, `${args.join(' ')}\n${status === 0 ? '' : stdout + stderr}`)
  }
})

t.test('with a provider go its line, the shops that need it and its place as a default, and nothing else', async t => {
  const text = `channels:
  sms: { default_provider: one }
  fax: { default_provider: two }
providers:
  one: { path: plugins/one }
  two: {}
shops:
  - { id: a, channels: { sms: one } }
  - { id: b, channels: { sms: two }, connections: [{ provider: one }] }
  - { id: c, connections: [{ provider: two }] } # stays
  - { id: d }
`
  const one = configWithout('one', text)
  t.strictSame(parse(one), { channels: { sms: { default_provider: 'two' }, fax: { default_provider: 'two' } }, providers: { two: {} }, shops: [{ id: 'c', connections: [{ provider: 'two' }] }, { id: 'd' }] })
  t.match(one, '# stays')
  t.strictSame(parse(configWithout('one', configWithout('two', text))), { channels: { sms: { default_provider: null }, fax: { default_provider: null } }, providers: {}, shops: [{ id: 'd' }] })
  t.throws(() => configWithout('three', text))
  const { providers } = parse(text) as { providers: Record<string, { path?: string }> }
  t.strictSame([foldersOf('one', { providers }), foldersOf('two', { providers })], [['plugins/one'], ['plugins/two', 'config/providers/two']])
})
