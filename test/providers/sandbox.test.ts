import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { ArrivalWindows } from '../../gateway/providers/sandbox-windows.ts'
import { Faults } from '../../gateway/providers/sandbox-faults.ts'
import { Records } from '../../gateway/providers/sandbox-records.ts'
import { startSandbox } from '../../gateway/providers/sandbox.ts'
import { entry, loadOne, writeFolder } from '../helpers/providers.ts'
import { THIRD, THIRD_ID } from '../helpers/third-provider.ts'

const third = await loadOne(entry(THIRD_ID, writeFolder(t.testdir(), THIRD)))
const GOOD = 'to=%2B12015550123&from=Acme&text=Mug&reference=key-1'

interface Received { items: Array<{ status: number }>, dropped: number }

/** A sandbox whose windows never fill, and ways to ask it. */
async function sandbox (recordTo?: string) {
  let clock = 0
  const { url, close } = await startSandbox({ providers: [third], port: 0, now: () => { clock += 1000; return clock }, wallNow: () => 1_790_000_000_000, ...(recordTo === undefined ? {} : { recordTo }) })
  const base = `${url}/${THIRD_ID}`
  return {
    close,
    post: (body: string = GOOD, headers: Record<string, string> = {}) => fetch(`${base}/v2/ACCT01/messages`, { method: 'POST', headers: { 'x-token': 'abc', accept: 'application/json', 'content-type': 'application/x-www-form-urlencoded', ...headers }, body }),
    fault: (order: object) => fetch(`${base}/_sandbox/faults`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(order) }),
    ask: (what: string, method = 'GET') => fetch(`${base}/_sandbox/${what}`, { method }),
    received: async (): Promise<Received> => (await fetch(`${base}/_sandbox/requests`)).json() as Promise<Received>
  }
}

/** How often a fault of rate 0.3 struck in a thousand requests. */
function strikes (seed: number): number {
  const faults = new Faults()
  faults.add({ kind: 'status', rate: 0.3, seed })
  return Array.from({ length: 1000 }, () => faults.strike('GET', '/')).filter(struck => struck !== null).length
}

t.test('windows count arrivals in any sliding position, all at once, per account', async t => {
  const windows = new ArrivalWindows({ a: { name: 'a', match: [], windows: [{ max: 2, perMs: 100 }, { max: 3, perMs: 1000 }] }, free: { name: 'free', match: [], windows: [] } })
  const take = (now: number, account = 'x'): number | null => windows.take('a', account, now)
  t.strictSame([take(0), take(50), take(60)], [null, null, 40], 'two within 100 ms')
  t.equal(take(100), null, 'the first has left')
  t.equal(take(200), 800, 'three within 1,000 ms, refused ones not counted')
  t.equal(take(200, 'y'), null)
  t.strictSame(windows.left('a', 'x', 250), [{ max: 2, perMs: 100, left: 2, resetMs: 0 }, { max: 3, perMs: 1000, left: 0, resetMs: 750 }])
  t.equal(take(1000), null)
  t.strictSame(windows.usage()['x'], { a: [{ max: 2, per_ms: 100, worst: 2 }, { max: 3, per_ms: 1000, worst: 3 }] })
  for (let i = 0; i < 100; i++) t.equal(windows.take('free', 'x', 0), null)
  t.throws(() => windows.take('b', 'x', 0), RangeError)
  await t.test('and forgetting what is past changes nothing', async t => {
    const many = new ArrivalWindows({ a: { name: 'a', match: [], windows: [{ max: 10, perMs: 100 }] } })
    for (let now = 0; now < 20_000; now += 10) t.equal(many.take('a', 'x', now), null)
    t.equal(many.take('a', 'x', 19_995), 5)
  })
})

t.test('the latest 10,000 requests are kept, the rest are counted', async t => {
  const records = new Records()
  for (let i = 0; i < 25_000; i++) records.add({ account: 'x', method: 'GET', path: '/', body: null, status: i % 2 === 0 ? 200 : 429 }, i)
  t.strictSame(records.counts(), { accepted: 12_500, refused: 12_500, status_429: 12_500, repeats: 0 })
  const { items, dropped } = records.list(20_000, 0)
  t.equal(items.length, 10_000)
  t.equal(dropped, 15_000)
  t.equal(items[0]?.id, 25_000, 'newest first')
  t.strictSame(records.list(10, 24_998).items.map(({ id }) => id), [25_000, 24_999], 'after an id')
})

t.test('faults strike as ordered: so many times, or at a rate that a seed repeats', async t => {
  t.equal(strikes(1), strikes(1))
  t.ok(strikes(2) > 200 && strikes(2) < 400)
  const faults = new Faults()
  faults.add({ kind: 'hang', match: { method: 'POST', path: '/a' }, times: 2 })
  t.strictSame(['/b', '/a', '/a', '/a'].map(path => faults.strike('POST', path)?.kind), [undefined, 'hang', 'hang', undefined])
  t.equal(faults.strike('GET', '/a'), null)
})

t.test('each kind of fault does what it says', async t => {
  const { post, fault, ask, received, close } = await sandbox()
  t.teardown(close)
  const order = async (kind: object): Promise<void> => { t.equal((await fault({ times: 1, ...kind })).status, 201) }
  await order({ kind: 'status', status: 503, headers: { 'retry-after': '9' }, body: { no: 1 }, match: { method: 'POST', path: '/v2/ACCT01/messages' } })
  const failed = await post()
  t.strictSame([failed.status, failed.headers.get('retry-after'), await failed.json()], [503, '9', { no: 1 }])
  await order({ kind: 'delay', delay_ms: 1 })
  t.equal((await post()).status, 200)
  t.equal((await received()).items.length, 1, 'a delayed one is processed, an answered one is not')
  for (const kind of ['reset', 'cut_before']) {
    await order({ kind })
    await t.rejects(post(), kind)
  }
  t.equal((await received()).items.length, 1, 'nothing was processed')
  await order({ kind: 'cut_after' })
  await t.rejects(post())
  t.equal((await received()).items.length, 2, 'processed, and no answer')
  t.match(await (await ask('faults')).json(), { items: [{ id: 1, kind: 'status', struck: 1 }] })
  t.equal((await ask('faults', 'DELETE')).status, 204)
  t.strictSame(await (await ask('faults')).json(), { items: [] })
  t.equal((await fault({ kind: 'statsu' })).status, 400)
  t.equal((await fault({ kind: 'status', stauts: 500 })).status, 400, 'a misspelt key is refused')
})

t.test('a sandbox.ts that cannot be used is an error at start', async t => {
  for (const [name, code] of [['none', 'export const a = 1\n'], ['throws', 'throw new Error("no")\n']] as const) {
    const provider = await loadOne(entry(THIRD_ID, writeFolder(join(t.testdir(), name), { ...THIRD, 'sandbox.ts': code })))
    await t.rejects(startSandbox({ providers: [provider], port: 0 }), { code: 'GW_PROVIDER_CODE' }, name)
  }
})

t.test('a hanging request is never answered, and holds up no close', async t => {
  const { post, fault, ask, close } = await sandbox()
  await fault({ kind: 'hang' })
  const outcome = post().then(() => 'answered', () => 'cut')
  let struck = 0
  while (struck === 0) struck = (await (await ask('faults')).json() as { items: Array<{ struck: number }> }).items[0]?.struck ?? 0
  await close()
  t.equal(await outcome, 'cut')
})

t.test('a stand-in refuses what its manifest does not allow', async t => {
  const { post, received, ask, close } = await sandbox()
  t.teardown(close)
  const table: Array<[string, () => Promise<Response>, number]> = [
    ['in order', () => post(), 200],
    ['a key less', () => post('to=1&from=2&text=3'), 400],
    ['a key more', () => post(`${GOOD}&more=1`), 400],
    ['no body', () => post(''), 400],
    ['no credentials', () => post(GOOD, { 'x-token': '' }), 401],
    ['another accept', () => post(GOOD, { accept: 'text/html' }), 400],
    ['another encoding', () => post('{}', { 'content-type': 'application/json' }), 415]
  ]
  for (const [name, sent, status] of table) t.equal((await sent()).status, status, name)
  t.strictSame((await received()).items.length, table.length, 'all of them are kept')
  t.match(await (await ask('stats')).json(), { accepted: 1, refused: 6, status_429: 0, repeats: 0 })
  t.equal((await ask('requests', 'DELETE')).status, 204)
  t.match(await (await ask('stats')).json(), { accepted: 0, refused: 0 })
})

t.test('each arrival is a line in the file that is named', async t => {
  const path = join(t.testdir(), 'received.jsonl')
  const { post, close } = await sandbox(path)
  await post()
  await post('')
  await close()
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n').map(line => JSON.parse(line) as Record<string, unknown>)
  t.match(lines, [
    { t: 1_790_000_000_000, provider: THIRD_ID, account: /^[0-9a-f]{12}$/, key: null, method: 'POST', path: '/v2/ACCT01/messages', status: 200, repeat: false },
    { status: 400 }
  ])
})
