// The command line on the shipped config, whichever providers that declares.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { foldersOf, shipped } from '../helpers/shipped.ts'
import { cli, ROOT, shippedProject, within } from './cli.ts'

t.test('the shipped config is valid, and validating it makes nothing', async t => {
  const dir = shippedProject(t)
  const { code, out, err } = await within(['validate', '--json'], { cwd: dir })
  t.equal(code, 0, err)
  t.match(JSON.parse(out), { ok: true, event_types: Object.keys(shipped.event_types).length, api_keys: 1, sandbox: true })
  t.notOk(existsSync(join(dir, 'data')))
  t.equal((await cli(['validate'])).code, 0)
})

t.test('providers list tells which folders the shipped config declares', async t => {
  const { code, out, err } = await within(['providers', 'list', '--json'])
  t.equal(code, 0, err)
  const { items } = JSON.parse(out) as { items: Array<{ id: string, folder: string }> }
  t.strictSame(items.map(({ id, folder }) => [id, folder]), Object.keys(shipped.providers).map(id => [id, foldersOf(id).find(folder => existsSync(join(ROOT, folder)))]))
})

t.test('the cases of the shipped providers hold', async t => {
  const { code, out, err } = await within(['test', '--json'])
  t.equal(code, 0, err)
  const { ok, providers } = JSON.parse(out) as { ok: boolean, providers: Array<{ id: string, cases: unknown[] }> }
  t.equal(ok, true)
  t.strictSame(providers.map(({ id }) => id), Object.keys(shipped.providers))
  t.ok(providers.every(({ cases }) => cases.length > 0))
})
