// The set-up with a stand-in for npm, which writes down how it was called: the real one needs the network.

import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'

type Test = Pick<typeof t, 'testdir'>

const NPM = `
import { appendFileSync, mkdirSync } from 'node:fs'
mkdirSync('node_modules', { recursive: true })
appendFileSync('calls', process.argv.slice(2).join(' ') + '\\n')
process.exit(Number(process.env.NPM_ENDS_WITH ?? 0))
`

function folder (t: Test): string {
  const dir = t.testdir({ 'package.json': '{}', 'package-lock.json': '{ "version": 1 }', 'npm.mjs': NPM, 'npm.js': 'import("./npm.mjs")', gateway: {} })
  copyFileSync(new URL('../../gateway/bootstrap.mjs', import.meta.url), join(dir, 'gateway', 'bootstrap.mjs'))
  return dir
}

function run (dir: string, env: Record<string, string> = {}) {
  return spawnSync(process.execPath, ['gateway/bootstrap.mjs'], { cwd: dir, encoding: 'utf8', timeout: 20_000, env: withNpm(dir, env) })
}

async function start (dir: string): Promise<number> {
  const [code] = await once(spawn(process.execPath, ['gateway/bootstrap.mjs'], { cwd: dir, stdio: 'ignore', env: withNpm(dir) }), 'exit')
  return code
}

function withNpm (dir: string, env: Record<string, string> = {}): NodeJS.ProcessEnv {
  return { ...process.env, npm_execpath: join(dir, 'npm.js'), ...env }
}

function calls (dir: string): string[] {
  return existsSync(join(dir, 'calls')) ? readFileSync(join(dir, 'calls'), 'utf8').trim().split('\n') : []
}

t.test('the first run installs what the lock file names, tools included, and the second does nothing', async t => {
  const dir = folder(t)
  t.equal(run(dir, { NODE_ENV: 'production' }).status, 0)
  t.match(calls(dir), [/^ci --include=dev /])
  const again = run(dir)
  t.strictSame([again.status, again.stderr, calls(dir).length], [0, '', 1])
  t.notOk(existsSync(join(dir, '.setup.lock')))
})

t.test('another lock file installs anew', async t => {
  const dir = folder(t)
  run(dir)
  writeFileSync(join(dir, 'package-lock.json'), '{ "version": 2 }')
  run(dir)
  t.equal(calls(dir).length, 2)
})

t.test('a failed installation ends with 1, and the next run tries again', async t => {
  const dir = folder(t)
  t.equal(run(dir, { NPM_ENDS_WITH: '7' }).status, 1)
  t.notOk(existsSync(join(dir, '.setup.lock')))
  t.equal(run(dir).status, 0)
  t.equal(calls(dir).length, 2)
})

t.test('the lock of a set-up that was cut off is taken over', async t => {
  const dir = folder(t)
  const gone = spawnSync(process.execPath, ['-e', '']).pid
  writeFileSync(join(dir, '.setup.lock'), String(gone))
  t.equal(run(dir).status, 0)
  t.equal(calls(dir).length, 1)
})

t.test('of two that are started together one installs and the other waits', async t => {
  const dir = folder(t)
  const both = await Promise.all([start(dir), start(dir)])
  t.strictSame(both, [0, 0])
  t.equal(calls(dir).length, 1)
})
