// Jobs that nobody waits for: they take what places the others leave, and are never left for good.

import t, { type Test } from 'tap'
import type { Store } from '../../gateway/contract.ts'
import { Jobs, type JobHandler } from '../../gateway/jobs/runner.ts'
import { recheckDaily } from '../../gateway/shops/setup/daily.ts'
import { systemRuntime } from '../../gateway/runtime.ts'
import { POSTGRES, SQLITE } from '../../gateway/store/dialect.ts'
import { statements } from '../../gateway/store/statements.ts'
import { HERE, NOW, place } from '../conformance/store-rows.ts'
import { until } from '../helpers/fake-runtime.ts'
import { newPlace, openAlone, query, storeKind, type Place } from '../helpers/stores.ts'

const RUNTIME = { ...systemRuntime(), now: () => NOW }

interface Setting { store: Store, where: Place, put (name: 'put_job' | 'put_background_job', kind: string, count: number, dueAt?: number): Promise<void> }

async function setting (t: Test): Promise<Setting> {
  const where = await newPlace(t)
  const store = await openAlone(t, where, () => NOW)
  return {
    store, where,
    async put (name, kind, count, dueAt = NOW) {
      await store.commit(Array.from({ length: count }, (_, i) => ({ name, params: { job_key: store.nextKey('jobs'), id: `job_${kind}_${i}`, kind, unique_key: `${kind} ${i}`, account_key: null, delivery_key: null, due_at: dueAt, now: NOW } })))
    }
  }
}

interface Standing { handler: JobHandler, now: number, most: number, done: number, /** Those that stand end; `all`: and so do those to come. */ end (all?: boolean): void }

/** A handler whose runs stand until the test lets them end, and how many stand at once. */
function standing (): Standing {
  let ends: Array<() => void> | null = []
  const self: Standing = {
    now: 0, most: 0, done: 0,
    end (all = false) {
      const those = ends?.splice(0) ?? []
      if (all) ends = null
      for (const one of those) one()
    },
    async handler () {
      self.most = Math.max(self.most, ++self.now)
      await new Promise<void>(resolve => { if (ends === null) setImmediate(resolve); else ends.push(resolve) })
      self.now--
      self.done++
      return null
    }
  }
  return self
}

/** Started; stopped when the test ends. */
async function running (t: Test, store: Store, { looks, setup }: { looks: Standing, setup: Standing }): Promise<Jobs> {
  const jobs = new Jobs({ store, runtime: RUNTIME, handlers: { setup_recheck: looks.handler, setup: setup.handler }, onError: error => { t.fail(String(error)) } })
  t.teardown(async () => {
    for (const one of [looks, setup]) one.end(true)
    await jobs.stop()
  })
  await jobs.start([])
  return jobs
}

t.test('however many looks at connections are due, and for how long, a merchant\'s job does not wait for them', async t => {
  const { store, put } = await setting(t)
  const [looks, setup] = [standing(), standing()]
  await put('put_background_job', 'setup_recheck', 60, NOW - 60_000)
  const jobs = await running(t, store, { looks, setup })
  await until('looks run', () => looks.now === 5)
  await put('put_job', 'setup', 30)
  jobs.look()
  await until('merchants\' jobs run beside them', () => setup.now === 15)
  t.equal(looks.now, 5)
  setup.end()
  await until('and the others after these', () => setup.done === 15 && setup.now === 15)
  for (const one of [looks, setup]) one.end(true)
  await until('all are done', () => setup.done === 30 && looks.done === 60)
  t.equal(looks.most, 5)
})

t.test('however many merchants\' jobs there are, one place is left to those that nobody waits for', async t => {
  const { store, put } = await setting(t)
  const [looks, setup] = [standing(), standing()]
  await put('put_job', 'setup', 60, NOW - 60_000)
  await put('put_background_job', 'setup_recheck', 3)
  await running(t, store, { looks, setup })
  await until('both run', () => setup.now === 19 && looks.now === 1)
  looks.end()
  await until('the next of them runs, and no place stands empty for long', () => looks.done === 1 && looks.now === 1)
  t.equal(setup.now, 19)
  for (const one of [looks, setup]) one.end(true)
  await until('all are done', () => setup.done === 60 && looks.done === 3)
  t.equal(setup.most, 19)
})

t.test('the daily look at a connection is such a job', async t => {
  const { store, where } = await setting(t)
  await place(store)
  await recheckDaily('0', { store, runtime: RUNTIME })
  t.match(await query(where, 'select kind, background from jobs'), [{ kind: 'setup_recheck', background: 1 }])
})

t.test('what is due is found by the index, however much else is', async t => {
  const { store, where } = await setting(t)
  for (const background of [0, 1]) {
    await query(where, `insert into jobs (job_key, id, kind, unique_key, due_at, created_at, background)
      with recursive n (i) as (select 1 union all select i + 1 from n where i < 5000) select ${background} * 10000 + i, 'job_' || ${background} || '_' || i, 'work', ${background} || ' ' || i, ${NOW} - i, 0, ${background} from n`)
  }
  await query(where, 'analyze jobs')
  for (const name of ['claim_jobs', 'claim_background_jobs', 'jobs_are_due']) {
    const values: Record<string, string> = { now: String(NOW), slots: `'${HERE}'`, owner: '1', epoch: '1', limit: '5' }
    const sql = (statements(storeKind === 'sqlite' ? SQLITE : POSTGRES)[name] as string).replace(/(?<!:):([a-z_]+)/g, (_, param: string) => values[param] as string)
    const plan = JSON.stringify(await query(where, `explain ${storeKind === 'sqlite' ? 'query plan' : ''} ${sql}`))
    t.match(plan, storeKind === 'sqlite' ? /USING INDEX jobs_due \(background=\? AND due_at/ : /Index (Only )?Scan using jobs_due/, name)
    t.notMatch(plan, /SCAN jobs|Seq Scan on jobs|TEMP B-TREE|Sort Key/, name)
  }
  t.equal((await store.commit([{ name: 'claim_background_jobs', params: { now: NOW, slots: HERE, owner: store.owner, epoch: store.epoch, limit: 5 } }]))[0]?.rows.length, 5)
})
