import { spawn, type ChildProcess } from 'node:child_process'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import t, { type Test } from 'tap'
import { writeFolder } from '../helpers/providers.ts'
import { cli, CLI, environment, project } from './cli.ts'

interface Running { child: ChildProcess, first: Record<string, string>, out: string[], err: string[], said (text: RegExp): Promise<void> }

/** Starts a command that runs until it is told to stop, and waits for its first line, which is JSON. */
async function running (t: Test, argv: string[], cwd: string): Promise<Running> {
  const env = { ...environment(), PORT: '0', SANDBOX_PORT: '0' }
  const child = spawn(process.execPath, [CLI, ...argv, '--json'], { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] })
  t.teardown(() => { child.kill('SIGKILL') })
  const out: string[] = []
  const err: string[] = []
  const errLines = createInterface({ input: child.stderr })
  errLines.on('line', line => { err.push(line) })
  const outLines = createInterface({ input: child.stdout }).on('line', line => { out.push(line) })
  const said = async (text: RegExp): Promise<void> => { while (!err.some(line => text.test(line))) await once(errLines, 'line') }
  const ended = once(child, 'exit').then(() => { throw new Error(`ended: ${err.join('\n')}`) })
  await Promise.race([once(outLines, 'line'), ended])
  ended.catch(() => {})
  return { child, first: JSON.parse(out[0] as string) as Record<string, string>, out, err, said }
}

t.test('from an empty folder to a delivered event, and back to nothing running', async t => {
  const dir = project(t)
  const { child, first, out, said } = await running(t, ['start', '--sandbox'], dir)
  t.match(first, { url: /^http:\/\/127\.0\.0\.1:\d+$/, sandbox_url: /^http/ })
  const options = { cwd: dir, env: { GATEWAY_URL: first['url'] as string } }

  const sent = await cli(['events', 'send', 'back_in_stock.alert', '--shop', 'demo-courier.example', '--example', '0', '--wait', '--json'], options)
  t.equal(sent.code, 0, sent.err)
  const { status, deliveries } = JSON.parse(sent.out) as { status: string, deliveries: Array<{ id: string, state: string }> }
  t.equal(status, 'accepted')
  t.match(deliveries, [{ state: 'delivered' }])

  const id = deliveries[0]?.id as string
  const shown = JSON.parse((await cli(['deliveries', 'show', id, '--json'], options)).out) as { calls: unknown[] }
  t.match(shown.calls, [{ number: 1, request: { method: 'POST', path: '/api/events' }, status: 202, outcome: 'delivered' }])
  t.match((await cli(['deliveries', 'list', '--state', 'delivered'], options)).out, id)
  const again = await cli(['deliveries', 'retry', id, '--json'], options)
  t.equal(again.code, 1)
  t.match(JSON.parse(again.out), { items: [{ id, error: { code: 'GW_CONFLICT' } }] })
  t.match((await cli(['shops', 'show', 'demo-courier.example'], options)).out, /sms.*: courier/)

  const file = join(dir, 'gateway.config.yaml')
  const sound = readFileSync(file, 'utf8')
  child.kill('SIGHUP')
  await said(/^the files were loaded again/)
  writeFileSync(file, sound.replace(/^server:/m, 'sever:'))
  child.kill('SIGHUP')
  await said(/^the files have faults/)

  const exited = once(child, 'exit')
  child.kill('SIGTERM')
  child.kill('SIGINT')
  t.strictSame(await exited, [0, null])
  t.equal(out.length, 1, 'with --json, standard output has the addresses and nothing else')
})

t.test('a start that cannot be: faults in the files, a port that is taken', async t => {
  const broken = await cli(['start'], { cwd: project(t, text => text.replace(/^server:/m, 'sever:')) })
  t.equal(broken.code, 1)
  t.match(broken.err, /^gateway\.config\.yaml:\d+:1: /m)

  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  t.teardown(() => { taken.close() })
  const { port } = taken.address() as AddressInfo
  const { code, out } = await cli(['start', '--port', String(port), '--json'], { cwd: project(t), env: { SANDBOX_PORT: '0' } })
  t.equal(code, 1)
  t.match(JSON.parse(out), { error: { code: 'GW_LISTEN' } })
  const sandbox = await cli(['sandbox', '--port', String(port), '--json'])
  t.equal(sandbox.code, 1)
  t.match(JSON.parse(sandbox.out), { error: { code: 'GW_LISTEN' } })
})

t.test('the sandbox runs alone, and records what it receives', async t => {
  const dir = project(t)
  const { child, first } = await running(t, ['sandbox', '--port', '0', '--record', 'requests.jsonl'], dir)
  const { courier } = first['providers'] as unknown as Record<string, string>
  const { status } = await fetch(`${courier}/api/events`, { method: 'POST', body: '{}', headers: { 'content-type': 'application/json' } })
  t.ok(status >= 400, 'it is the strict party')
  const exited = once(child, 'exit')
  child.kill('SIGINT')
  t.strictSame(await exited, [0, null])
  t.match(readFileSync(join(dir, 'requests.jsonl'), 'utf8'), '/api/events')
})

t.test('the sandbox that runs alone plays what sources speak to as well: a gateway elsewhere asks it by sandbox.url', async t => {
  const dir = project(t, text => `${text}\nsources: { bell: { path: sources/bell } }\n`)
  writeFolder(join(dir, 'sources/bell'), {
    'index.ts': 'export default { id: \'bell\', events: [] }\n',
    'sandbox.ts': 'export default app => { app.get(\'/ring\', async () => ({ rung: true })) }\n'
  })
  const { child, first } = await running(t, ['sandbox', '--port', '0'], dir)
  const { providers, sources } = first as unknown as Record<string, Record<string, string>>
  t.strictSame([Object.keys(providers ?? {}), Object.keys(sources ?? {})], [['courier', 'herald'], ['bell']])
  t.strictSame(await (await fetch(`${String(sources?.['bell'])}/ring`)).json(), { rung: true })
  const exited = once(child, 'exit')
  child.kill('SIGINT')
  t.strictSame(await exited, [0, null])
})
