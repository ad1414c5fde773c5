// A provider that tells no repeats apart and makes a message of each request, but lists what it made; it loses answers as a test says.

import type { Test } from 'tap'
import type { Answer, Ask, LostRequest, Provider, Reconciled, Step, Store } from '../../gateway/contract.ts'
import { reconcile, type Again, type ReconcileOptions } from '../../gateway/delivery/reconcile.ts'
import type { Exchange, Reply } from '../helpers/fault-server.ts'
import { HOUR_MS, shop } from '../helpers/make.ts'
import { world, type World, type WorldOptions } from './world.ts'

export interface Message { id: string, at: number, key: string, failed?: boolean, busy?: boolean }

/** What becomes of a request: answered, made and the answer lost, lost before it was made, or made and answered when the test says. */
export type Fate = 'answered' | 'lost_after' | 'lost_before' | 'slow'

export class Carrier {
  /** Oldest first. */
  readonly messages: Message[] = []
  /** Ids the list does not show yet. */
  readonly hidden = new Set<string>()
  /** Of the requests to come, in turn; the last one of them stays. */
  fates: Fate[]
  /** Of the messages to come. */
  made: Partial<Message> = {}
  /** What the hook was asked about. */
  readonly questions: Array<{ body: string | null, reservedAt: number, givenUpAt: number }> = []
  /** Instead of looking at the list. */
  word: Reconciled | null = null
  /** Answers slow requests. */
  readonly slow: Array<() => void> = []
  /** Called before the list is looked at. */
  meanwhile: () => Promise<void> = async () => {}
  now: () => number = Date.now

  constructor (...fates: Fate[]) { this.fates = fates }

  readonly reply: Reply = exchange => {
    if (exchange.request.method === 'GET') exchange.response.writeHead(200).end(JSON.stringify(this.messages.filter(({ id }) => !this.hidden.has(id))))
    else this.#send(exchange)
  }

  #send ({ request, response, socket }: Exchange): void {
    const fate = this.fates.length > 1 ? this.fates.shift() : this.fates[0]
    if (fate === 'lost_before') { socket.resetAndDestroy(); return }
    const message: Message = { id: `m${this.messages.length + 1}`, at: this.now(), key: (JSON.parse(request.body) as { key: string }).key, ...this.made }
    this.messages.push(message)
    const answer = () => { response.writeHead(201, { 'content-type': 'application/json' }).end(JSON.stringify(message)) }
    if (fate === 'lost_after') socket.resetAndDestroy()
    else if (fate === 'slow') this.slow.push(answer)
    else answer()
  }

  /** Every message looks alike but for the time it was made at; one of another time within an hour is doubtful. */
  readonly provider: Partial<Provider> = {
    uncertain: 'reconcile',
    receipt: (request, body) => request === 'create' ? (JSON.parse(body) as Message).id : null,
    judge: ({ body }) => body.includes('"failed":true') ? { is: 'rejected', reason: 'phone_refused', detail: 'it failed' } : body.includes('"busy":true') ? { is: 'retry', reason: 'deferred', detail: 'it is busy' } : null,
    code: { id: 'alpha', reconcile: (_scope, { body }, sent, ask) => this.#looked(body, sent, ask) }
  }

  async #looked (body: string | null, { reservedAt, givenUpAt }: LostRequest, ask: Ask): Promise<Reconciled> {
    this.questions.push({ body, reservedAt, givenUpAt })
    await this.meanwhile()
    if (this.word) return this.word
    const answer = await ask('messages', {})
    if (answer.kind !== 'answer' || answer.status !== 200) return { is: 'unclear', detail: 'no list' }
    const made = (JSON.parse(answer.body) as Message[]).map(message => ({ status: 201, body: JSON.stringify(message), at: message.at }))
    const between = (from: number, to: number) => made.filter(({ at }) => at >= from && at <= to)
    const answers = between(reservedAt - 1000, givenUpAt + 1000)
    const doubtful = between(reservedAt - HOUR_MS, givenUpAt + HOUR_MS).filter(message => !answers.includes(message))
    return answers.length === 0 ? { is: 'not_found', doubtful } : { is: 'found', answers, doubtful }
  }
}

export interface Lost {
  w: World
  carrier: Carrier
  ids: string[]
  learnt: string[]
  /** One round of questions, with the cursor the job would have. */
  round (id: string, more?: Partial<ReconcileOptions>): Promise<Again>
}

/** Deliveries whose requests met these fates; those without an answer are unknown by now. */
export async function lost (t: Test, carrier: Carrier, count = 1, more: WorldOptions = {}): Promise<Lost> {
  const { providers: [provider = {}] = [] } = more
  const w = await world(t, { reply: carrier.reply, shops: [shop('a')], ...more, providers: [{ ...carrier.provider, ...provider }] })
  carrier.now = w.runtime.now
  const ids = await w.accept('a', count)
  const errors: unknown[] = []
  const learnt: string[] = []
  const cursors = new Map<string, string>()
  return {
    w,
    carrier,
    ids,
    learnt,
    async round (id, options = {}) {
      const { store, runtime, shops, providers, deliver } = w
      const again = await reconcile((await w.delivery(id)).delivery_key as number, cursors.get(id) ?? null, {
        store, runtime, shops, providers,
        ask: (connection, name, scope): Promise<Answer> => deliver.ask(connection, name, scope),
        onLearnt: ({ learnt: one }) => { learnt.push(one) },
        onError: error => { errors.push(error) },
        ...options
      })
      if (again) cursors.set(id, again.cursor)
      if (errors.length > 0) throw errors[0]
      return again
    }
  }
}

/** The store; told before and after each unit it takes. What is thrown there fails the unit. */
export function watched (store: Store, tell: (unit: Step[], when: 'before' | 'after') => void | Promise<void>): Store {
  return {
    owner: store.owner,
    epoch: store.epoch,
    nextKey: table => store.nextKey(table),
    slots: store.slots,
    listen: events => store.listen(events),
    tell: news => { store.tell(news) },
    healthy: () => store.healthy(),
    close: () => store.close(),
    read: (name, params) => store.read(name, params),
    async commit (unit) {
      await tell(unit, 'before')
      const results = await store.commit(unit)
      await tell(unit, 'after')
      return results
    }
  }
}
