// The end of a job's run must reach the store: a job that stays claimed would never run again.

import t, { type Test } from 'tap'
import type { Row, Runtime, Store } from '../../gateway/contract.ts'
import { GatewayError } from '../../gateway/errors.ts'
import { Jobs, type Job, type JobResult } from '../../gateway/jobs/runner.ts'
import { systemRuntime } from '../../gateway/runtime.ts'
import { NOW, one } from '../conformance/store-rows.ts'
import { until } from '../helpers/fake-runtime.ts'
import { newPlace, openAlone, runOut, type Place } from '../helpers/stores.ts'

const HOUR_MS = 3_600_000
const ENDS = new Set(['settle_job', 'end_job'])

interface Setting {
  store: Store
  place: Place
  jobs: Jobs
  /** Attempt and cursor of each run, and how many there were at one time at most. */
  runs: Array<[number, string | null]>
  most: () => number
  /** Ends of runs that the store was given, and what was told of those it refused. */
  ends: string[]
  told: Array<[string, string | undefined]>
  /** Null when it is gone. */
  row (): Promise<Row | null>
}

/** One job, due now, on a store that refuses the end of a run as often as it is told to. */
async function setting (t: Test, { refusals, handler }: { refusals: number, handler: (run: number) => JobResult }): Promise<Setting> {
  const place = await newPlace(t)
  const store = await openAlone(t, place, () => NOW)
  const runtime: Runtime = { ...systemRuntime(), now: () => NOW }
  const runs: Setting['runs'] = []
  const ends: string[] = []
  const told: Setting['told'] = []
  let running = 0
  let most = 0
  const between: Store = {
    owner: store.owner,
    epoch: store.epoch,
    nextKey: table => store.nextKey(table),
    slots: store.slots,
    listen: events => store.listen(events),
    tell: news => { store.tell(news) },
    healthy: () => store.healthy(),
    close: () => store.close(),
    read: (name, params) => store.read(name, params),
    commit (unit) {
      const end = unit.find(({ name }) => ENDS.has(name))
      if (end && ends.push(end.name) <= refusals) return Promise.reject(new GatewayError('GW_STORE_FAILED', 'not now'))
      return store.commit(unit)
    }
  }
  const work = async ({ attempts, cursor }: Job): Promise<JobResult> => {
    runs.push([attempts, cursor])
    most = Math.max(most, ++running)
    await new Promise(resolve => { setImmediate(resolve) })
    running--
    return handler(runs.length)
  }
  const jobs = new Jobs({ store: between, runtime, handlers: { work }, onError: (error, job) => { told.push([(error as GatewayError).code, job?.kind]) } })
  t.teardown(() => jobs.stop())
  await one(store, 'put_job', { job_key: store.nextKey('jobs'), id: 'job_work', kind: 'work', unique_key: 'w', account_key: null, delivery_key: null, due_at: NOW, now: NOW })
  await jobs.start([])
  return { store, place, jobs, runs, most: () => most, ends, told, row: async () => (await store.read('job', { id: 'job_work' }))[0] ?? null }
}

const REFUSED = ['GW_STORE_FAILED', 'work']

t.jobs = 4 // each waits for the runner's own seconds

t.test('the end of a run is given to the store until it is on disk, as it was; the handler is not run again meanwhile', async t => {
  const { runs, most, ends, told, row } = await setting(t, { refusals: 2, handler: () => ({ dueAt: NOW + HOUR_MS, cursor: 'here' }) })
  await until('it is settled', async () => (await row())?.owner === null && ends.length > 0)
  t.match(await row(), { due_at: NOW + HOUR_MS, cursor: 'here', attempts: 0 }, 'what the handler said, and not as a failure')
  t.strictSame(ends, ['settle_job', 'settle_job', 'settle_job'])
  t.strictSame(runs, [[1, null]])
  t.equal(most(), 1)
  t.strictSame(told, [REFUSED, REFUSED], 'each refusal is told of')
})

t.test('a job that is done is gone in the end, and not run again', async t => {
  const { runs, ends, row } = await setting(t, { refusals: 1, handler: () => null })
  await until('it is gone', async () => await row() === null)
  t.strictSame([runs, ends], [[[1, null]], ['end_job', 'end_job']])
})

t.test('a failure is written down in the end, and is one failure', async t => {
  const { runs, told, row } = await setting(t, { refusals: 1, handler: () => { throw new GatewayError('GW_INTERNAL', 'no') } })
  await until('it is settled', async () => (await row())?.owner === null && told.length === 2)
  t.match(await row(), { due_at: NOW + 30_000, attempts: 1 })
  t.strictSame([runs, told], [[[1, null]], [['GW_INTERNAL', 'work'], REFUSED]])
})

t.test('a stop does not wait for a store that takes nothing, and the next process runs the job', async t => {
  const { store, place, jobs, runs, ends, row } = await setting(t, { refusals: Infinity, handler: () => null })
  await until('it has run', () => ends.length > 0)
  await jobs.stop()
  t.match(await row(), { owner: store.owner, due_at: null }, 'still claimed by this one')
  await runOut(place)
  await one(store, 'adopt_jobs', { owner: store.owner + 1, now: NOW })
  t.match(await row(), { owner: null, due_at: NOW, attempts: 1 })
  t.strictSame(runs, [[1, null]])
})
