// When it is looked for a test event, and by what: at growing distances, to the end of its time and no longer (C6).

import t from 'tap'
import type { Answer, LookUp, SetupStep, Step } from '../../gateway/contract.ts'
import { judge } from '../../gateway/delivery/judge.ts'
import { awaited, lookForArrival, timeOfTest } from '../../gateway/shops/setup/arrival.ts'
import type { SetupOptions } from '../../gateway/shops/setup/facts.ts'
import type { StepRow } from '../../gateway/shops/setup/rows.ts'
import type { ShopState } from '../../gateway/shops/shops.ts'
import { answer, provider } from '../helpers/make.ts'

const START = Date.UTC(2026, 10, 22, 12)
const SENT: StepRow = { step: 'test', subject: 'thing', state: 'done', reason: null, detail: null, given: { event_id: 'test-1' }, found: { event_id: 'test-1' }, action: null, askedAt: START - 1234, doneAt: START, checkedAt: START }
const reads = (name: string) => ({ render: (scope: object) => (scope as { sent: Record<string, string> }).sent[name] })
const LOOK_UP: LookUp = { id: 'event', request: 'events', items: '/events', with: { render: scope => ({ since: (scope as { sent: { time: string } }).sent.time }) }, match: [{ at: '/id', equals: reads('id') }, { at: '/at', equals: reads('timestamp') }, { at: '/phone', equals: reads('phone') }], unless: [], near: null }
const STEP: SetupStep = { id: 'test', kind: 'test_event', title: 'Test', text: 'Test', needs: [], optional: true, when: null, recheck: 'hold', auth: null, fields: {}, check: null, options: null, setting: null, empty: null, choices: [], lookUps: [], findings: [], says: {}, arrival: { lookUps: [LOOK_UP], withinMs: 300_000 } }
const EVENT = { id: 'test-1', at: (START - 2000) / 1000, phone: '+12015550123' }

/** One test event that was accepted at START, and everything around it that a look needs. */
function world (given: () => Answer) {
  const clock = { now: START }
  const maps: unknown[] = []
  const jobs: Step[] = []
  const alpha = provider({ setup: [STEP] })
  const connection = { id: 'con_1', provider: alpha.id, platform: false, auth: 'api_key', accountId: 'A1', accountKey: 1, account: 'A1', name: '', settings: {}, ready: [], setUp: [], oauth: null, secrets: { api_key: 'k' } }
  const state = { shop: { key: 7, id: 'acme.example' }, connections: new Map([[alpha.id, connection]]) } as unknown as ShopState
  let row = SENT
  const stored = () => [{ step: row.step, subject: row.subject, state: row.state, reason: row.reason, detail: row.detail, given: JSON.stringify(row.given), found: JSON.stringify(row.found), action: row.action, asked_at: row.askedAt, done_at: row.doneAt, checked_at: row.checkedAt }]
  const options = {
    store: { read: async () => stored(), nextKey: () => 1 },
    runtime: { now: () => clock.now, id: () => 'job_1' },
    shops: {
      byKey: async () => state,
      held: async () => new Map(),
      alter: async (_id: string, change: (state: ShopState) => Promise<{ steps: Step[] } | null>) => {
        const { params = {} } = (await change(state))?.steps.find(({ name }) => name === 'put_setup') ?? {}
        row = { ...row, given: JSON.parse(String(params['given'])) as StepRow['given'], found: JSON.parse(String(params['found'])) as StepRow['found'] }
      }
    },
    config: () => ({ eventTypes: {} }),
    provider: () => alpha,
    ask: async (_connection: unknown, _request: unknown, { map }: { map: unknown }) => { maps.push(map); return given() },
    judge: (one: Answer) => judge(one, alpha, {}, clock.now),
    scrub: (text: string | null) => text
  } as unknown as SetupOptions
  const begun = awaited(STEP, SENT, { ...SENT.given, phone: '+12015550123' }, { state, provider: alpha }, options)
  row = begun.row
  jobs.push(...begun.steps)
  const look = () => lookForArrival({ uniqueKey: String(jobs[0]?.params['unique_key']), cursor: null }, options)
  return { clock, maps, jobs, look, row: () => row }
}

const listed = (...events: object[]): Answer => answer({ headers: { 'content-type': 'application/json' }, body: JSON.stringify({ events }) })

/** Runs the job when it is due until it ends: seconds since START of each look. */
async function looks ({ clock, jobs, look }: ReturnType<typeof world>): Promise<number[]> {
  const times: number[] = []
  let dueAt = jobs[0]?.params['due_at'] as number | undefined
  while (dueAt !== undefined && times.length < 100) {
    clock.now = dueAt
    times.push((dueAt - START) / 1000)
    dueAt = (await look())?.dueAt
  }
  return times
}

t.test('every try sends the same time, to the second: that of the asking', async t => {
  t.equal(timeOfTest(SENT, START), START - 2000)
  t.equal(timeOfTest({ ...SENT, askedAt: null }, START + 1), START)
})

t.test('looked for after 2 s, then at distances that double up to a minute, and once at the end', async t => {
  const one = world(() => listed())
  t.strictSame(await looks(one), [2, 4, 8, 16, 32, 64, 124, 184, 244, 300])
  t.match(one.row().found, { event_id: 'test-1', arrival: { state: 'not_found', reason: 'not_arrived' } })
  t.strictSame(one.row().given, { event_id: 'test-1' }, 'and the phone is gone')
  t.match(one.maps[0], { since: '2026-11-22T11:59:58Z' })
})

t.test('found by its id, its second and its phone, all of them', async t => {
  for (const other of [{ ...EVENT, id: 'test-2' }, { ...EVENT, at: EVENT.at + 1 }, { ...EVENT, phone: '+12015550124' }]) {
    const one = world(() => listed(other))
    one.clock.now = START + 2000
    t.match(await one.look(), { dueAt: START + 4000 })
  }
  const one = world(() => listed({ ...EVENT, id: 'test-0' }, EVENT))
  t.strictSame(await looks(one), [2])
  t.match(one.row().found, { arrival: { state: 'arrived', seen_at: START + 2000 } })
})

t.test('a provider that cannot be asked is asked for twice as long, and as late as it says; then that is what is said', async t => {
  const failing = world(() => answer({ status: 503 }))
  const times = await looks(failing)
  t.strictSame([times[0], times.at(-1)], [2, 600])
  t.match(failing.row().found, { arrival: { state: 'not_looked', reason: 'provider_failing' } })
  const limited = world(() => answer({ status: 429, headers: { 'retry-after': '100' } }))
  t.strictSame((await looks(limited)).slice(0, 3), [2, 102, 202])
})

t.test('a gateway that comes back after the time looks once, and says what it saw', async t => {
  const late = world(() => listed(EVENT))
  late.clock.now = START + 24 * 3_600_000
  t.equal(await late.look(), null)
  t.match(late.row().found, { arrival: { state: 'arrived' } })
  t.equal(await late.look(), null, 'and again changes nothing')
  t.equal(late.maps.length, 1)
})
