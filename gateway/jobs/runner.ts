// One runner for everything that happens later or long. At least once; handlers are idempotent by their key.

import { setTimeout as wait } from 'node:timers/promises'
import type { Row, Runtime, Step, Store } from '../contract.ts'

const POLL_MS = 1000
const AT_ONCE = 20
/** Of these places. One is left to either sort, however many of the other there are. */
const MOST = { claim_jobs: AT_ONCE - 1, claim_background_jobs: 5 } as const
const FAILED_AFTER_MS = 30_000
/** One that nobody here can run is left: who can may be there again. */
const UNKNOWN_AFTER_MS = 10 * 60_000
const STORE_AGAIN_MS = 1000
/** How often it is looked for jobs of instances that are gone, and for those of this one that nobody runs. */
const ADOPT_MS = 10_000

export interface Job {
  key: number
  kind: string
  uniqueKey: string
  accountKey: number | null
  deliveryKey: number | null
  /** 1 for the first time. */
  attempts: number
  cursor: string | null
}

/** When it runs again and from where; null ends it. */
export type JobResult = { dueAt: number, cursor?: string | null } | null
export type JobHandler = (job: Job) => Promise<JobResult>

export interface JobsOptions { store: Store, runtime: Runtime, handlers: Record<string, JobHandler>, /** For kinds that change while it runs. */ others?(kind: string): JobHandler | undefined, /** `job` is null where none could be claimed. */ onError (error: unknown, job: Job | null): void }

/** By what they are claimed: those that somebody waits for, and those that nobody does. */
type Sort = keyof typeof MOST

export class Jobs {
  #o: JobsOptions
  #timer: NodeJS.Timeout | null = null
  #running: Record<Sort, Set<Promise<void>>> = { claim_jobs: new Set(), claim_background_jobs: new Set() }
  #looking: Promise<void> = Promise.resolve()
  #stopped = false
  /** The last look took as many as there was room for, so more may be due. */
  #more = false
  /** A place came free while it was looked. */
  #again = false
  /** Monotonic. */
  #adoptedAt = 0
  /** Keys of the jobs that run; and of those that are this instance's and did not run when it was last looked. */
  #keys = new Set<number>()
  #idle = new Set<number>()

  constructor (options: JobsOptions) { this.#o = options }

  /** Makes sure that each recurring job exists, then runs what is due. */
  async start (recurring: string[]): Promise<void> {
    await this.#adopt()
    await this.ensure(recurring)
    this.#tick()
  }

  /** Makes sure that there is a job of each of these kinds. */
  async ensure (recurring: readonly string[]): Promise<void> {
    const { store, runtime } = this.#o
    if (recurring.length > 0) await store.commit(recurring.map(kind => ({ name: 'put_job', params: { job_key: store.nextKey('jobs'), id: runtime.id('job_'), kind, unique_key: kind, account_key: null, delivery_key: null, due_at: runtime.now(), now: runtime.now() } })))
  }

  /** Claims nothing more, and waits for what runs. */
  async stop (): Promise<void> {
    this.#stopped = true
    if (this.#timer) clearTimeout(this.#timer)
    this.#timer = null
    await this.#looking
    await Promise.all([...this.#running.claim_jobs, ...this.#running.claim_background_jobs])
  }

  /** Another instance has put one that is for this one: no reason to wait for the next tick. */
  look (): void {
    this.#more = true
    this.#soon()
  }

  /** What instances that are gone were running starts over. */
  async #adopt (): Promise<void> {
    const { store, runtime } = this.#o
    this.#adoptedAt = runtime.mono()
    await store.commit([{ name: 'adopt_jobs', params: { owner: store.owner, now: runtime.now() } }])
  }

  /** A claim whose commit was not answered may have been kept: what does not run at two looks is due again. */
  async #release (): Promise<void> {
    const { store, runtime } = this.#o
    const owned = (await store.read('owned_jobs', { owner: store.owner })).map(row => row.job_key as number)
    const idle = owned.filter(key => !this.#keys.has(key))
    const strays = idle.filter(key => this.#idle.has(key))
    this.#idle = new Set(idle)
    if (strays.length > 0) await store.commit([{ name: 'release_jobs', params: { owner: store.owner, keys: JSON.stringify(strays), now: runtime.now() } }])
  }

  #tick (ms = POLL_MS): void {
    this.#timer = setTimeout(() => {
      this.#timer = null
      this.#again = false
      this.#looking = this.#look().catch(error => { this.#o.onError(error, null) }).finally(() => { if (!this.#stopped) this.#tick(this.#again && this.#more ? 0 : POLL_MS) })
    }, ms)
  }

  /** A run ended and more is due: no reason to wait for the next tick. */
  #soon (): void {
    this.#again = true
    if (!this.#more || this.#timer === null) return // stopped, or it looks just now
    this.#more = false
    clearTimeout(this.#timer)
    this.#tick(0)
  }

  async #look (): Promise<void> {
    const { store, runtime } = this.#o
    if (this.#free < 1) return
    this.#more = false
    if (runtime.mono() - this.#adoptedAt >= ADOPT_MS) {
      await this.#adopt()
      await this.#release()
    }
    const params = { now: runtime.now(), slots: JSON.stringify(store.slots.mine) }
    const due = new Set((await store.read('jobs_are_due', params)).map(row => row.background))
    if (due.has(0)) await this.#claim('claim_jobs', params)
    if (due.has(1)) await this.#claim('claim_background_jobs', params)
  }

  get #free (): number { return AT_ONCE - this.#running.claim_jobs.size - this.#running.claim_background_jobs.size }

  async #claim (sort: Sort, params: Step['params']): Promise<void> {
    const { store } = this.#o
    const running = this.#running[sort]
    const limit = Math.min(this.#free, MOST[sort] - running.size)
    const [claimed] = limit < 1 ? [] : await store.commit([{ name: sort, params: { ...params, owner: store.owner, epoch: store.epoch, limit } }])
    const rows = claimed?.rows ?? []
    this.#more ||= rows.length >= limit
    for (const job of rows.map(jobOf)) {
      this.#keys.add(job.key)
      const run = this.#run(job).finally(() => {
        running.delete(run)
        this.#keys.delete(job.key)
        this.#soon()
      })
      running.add(run)
    }
  }

  async #run (job: Job): Promise<void> {
    const { store, runtime, handlers, others, onError } = this.#o
    const mine = { job_key: job.key, owner: store.owner, epoch: store.epoch }
    try {
      const handler = handlers[job.kind] ?? others?.(job.kind)
      const result = handler ? await handler(job) : { dueAt: runtime.now() + UNKNOWN_AFTER_MS, cursor: job.cursor }
      await this.#insist(job, result === null
        ? [{ name: 'end_job', params: mine }, { name: 'restart_job', params: mine }]
        : [{ name: 'settle_job', params: { ...mine, due_at: result.dueAt, cursor: result.cursor ?? null, progress: null, failed: 0 } }])
    } catch (error) {
      onError(error, job)
      await this.#insist(job, [{ name: 'settle_job', params: { ...mine, due_at: runtime.now() + FAILED_AFTER_MS * Math.min(job.attempts, 20), cursor: job.cursor, progress: null, failed: 1 } }])
    }
  }

  /** A job that is not settled would never run again; at a stop the next start takes it over. */
  async #insist (job: Job, steps: Step[]): Promise<void> {
    for (;;) {
      try {
        await this.#o.store.commit(steps)
        return
      } catch (error) {
        this.#o.onError(error, job)
        if (this.#stopped) return
        await wait(STORE_AGAIN_MS)
      }
    }
  }
}

function jobOf (row: Row): Job {
  return {
    key: row.job_key as number,
    kind: row.kind as string,
    uniqueKey: row.unique_key as string,
    accountKey: row.account_key as number | null,
    deliveryKey: row.delivery_key as number | null,
    attempts: row.attempts as number,
    cursor: row.cursor as string | null
  }
}
