// One run of a task: it is this run's until another one, a reset or another choice takes it away, and then nothing of it is kept.

import type { Provider, SetupStep, TaskCheckContext, TaskContext } from '../../contract.ts'
import type { OpenConnection } from '../connections.ts'
import type { ShopState } from '../shops.ts'
import type { SetupOptions } from './facts.ts'
import type { StepRow } from './rows.ts'
import { paramsOf, tasksOf, type Shown, type TaskPlace } from './task-rows.ts'

/** The set-up was forgotten, another way was chosen, or another gateway works on it. */
export class RunOver extends Error {}

export interface TaskSubject { state: ShopState, provider: Provider, step: SetupStep, row: StepRow, connection: OpenConnection, types: readonly string[] }

/** What a task is given to look at things with. */
export function checkContext ({ state, provider, row, connection, types }: TaskSubject, { id, done }: { id: string, done: unknown }, options: SetupOptions): TaskCheckContext {
  const { auth, accountId, settings } = connection
  const about = { account_id: accountId, settings }
  return {
    id,
    group: row.subject,
    types,
    connection: { auth, ...about },
    options: provider.options,
    done,
    ask: (request, map) => options.ask(connection, request, { connection: about, map }),
    judge: answer => answer.kind === 'not_sent' && answer.code === 'NOT_MAPPED' ? { is: 'rejected', reason: 'mapping_failed', detail: answer.message } : options.judge(answer, provider, settings),
    trigger: type => provider.trigger(type, about),
    sample (type) {
      const data = options.sample(type)
      const { id: shop, name, domain } = state.shop
      const prepared = data && provider.prepare(type, {
        data, shop: { id: shop, name, domain }, connection: about,
        event: { id, source: 'setup', type, time: new Date(options.runtime.now()).toISOString() },
        delivery: { id, key: id, attempt: 1, record_only: true }
      })
      return prepared?.ok ? prepared.request : null
    },
    now: () => options.runtime.now()
  }
}

export class Run {
  #options: SetupOptions
  #place: TaskPlace
  #run: string
  #done: string
  #shown: Shown
  /** When anything was saved last. Epoch. */
  savedAt: number
  readonly context: TaskContext

  private constructor (subject: TaskSubject, place: TaskPlace, run: string, row: { id: string, done: string, shown: Shown, savedAt: number }, options: SetupOptions) {
    this.#options = options
    this.#place = place
    this.#run = run
    this.#done = row.done
    this.#shown = { ...row.shown }
    this.savedAt = row.savedAt
    const looking = checkContext(subject, { id: row.id, done: JSON.parse(row.done) as unknown }, options)
    this.context = {
      ...looking,
      ask: async (request, map) => {
        await this.#mine()
        return await looking.ask(request, map)
      },
      save: async done => {
        this.savedAt = options.runtime.now()
        this.#done = JSON.stringify(done)
        await this.#save()
      },
      phase: async (phase, done, of) => { await this.#show({ phase, done, of }) }
    }
  }

  /** Takes it over from whoever worked on it. */
  static async claim (subject: TaskSubject, options: SetupOptions): Promise<Run> {
    const { runtime, store } = options
    const place = { accountKey: subject.connection.accountKey, step: subject.step.id, subject: subject.row.subject }
    const run = runtime.id('req_')
    const [claimed] = await store.commit([{ name: 'claim_task', params: { ...paramsOf(place), id: runtime.id('job_').replace('job_', ''), run, saved_at: runtime.now() } }])
    const row = claimed?.rows[0]
    if (row === undefined) throw new Error('a task was claimed, and its row was not told')
    return new Run(subject, place, run, { id: String(row.id), done: String(row.done), shown: JSON.parse(String(row.shown)) as Shown, savedAt: Number(row.saved_at) }, options)
  }

  async waits (waiting: NonNullable<Shown['waiting']>): Promise<void> {
    const { waiting: _, ...shown } = this.#shown
    await this.#show({ ...shown, waiting })
  }

  async #show (shown: Shown): Promise<void> {
    this.#shown = shown
    await this.#save()
  }

  async #save (): Promise<void> {
    const [saved] = await this.#options.store.commit([{ name: 'save_task', params: { ...paramsOf(this.#place), run: this.#run, done: this.#done, shown: JSON.stringify(this.#shown), saved_at: this.savedAt } }])
    if (saved?.changes !== 1) throw new RunOver('another run took the task over, or nobody wants it any more')
  }

  async #mine (): Promise<void> {
    const row = tasksOf(await this.#options.store.read('setup_tasks', { account_key: this.#place.accountKey })).get(`${this.#place.step}/${this.#place.subject}`)
    if (row?.run !== this.#run) throw new RunOver('another run took the task over, or nobody wants it any more')
  }
}
