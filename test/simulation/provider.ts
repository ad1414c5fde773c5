// Providers that exist in the simulation alone. Each keeps all that reached it, and answers as its mood says; whoever has no
// answer when the deadline passes gives up. What arrives, arrives whatever became of the sender.

import { setTimeout as wait } from 'node:timers/promises'
import type { Answer, PreparedRequest, Provider, Uncertain, Window } from '../../gateway/contract.ts'
import type { Sender } from '../../gateway/delivery/send.ts'
import { bodyOf, group, provider as makeProvider, request as makeRequest } from '../helpers/make.ts'
import type { VirtualProcess, VirtualTime } from './time.ts'

export const DEADLINE_MS = 2000
export const WINDOWS: Window[] = [{ max: 3, perMs: 1000 }, { max: 40, perMs: 60_000 }]
export const POLICIES: Uncertain[] = ['repeat', 'repeat_once', 'reconcile', 'park']
/** How many messages one delivery may make without a person's word. One that tells repeats apart makes one of many requests. */
const MESSAGES_MAX: Record<Uncertain, number> = { repeat: Infinity, repeat_once: 2, reconcile: 1, park: 1 }

/** How likely each answer is; what remains is a good one. */
export interface Mood { failing: number, limited: number, refused: number, lostBefore: number, lostAfter: number, notConnected: number, slowMs: number }
export const WELL: Mood = { failing: 0, limited: 0, refused: 0, lostBefore: 0, lostAfter: 0, notConnected: 0, slowMs: 500 }

interface Arrival { at: number, account: string, key: string | null, body: string | null, acted: boolean }

export class VirtualProvider {
  readonly provider: Provider
  mood: Mood = WELL
  /** A list shows a message that much later. */
  listedAfterMs = 30_000
  /** Accounts whose credentials are refused just now. */
  readonly locked = new Set<string>()
  readonly arrivals: Arrival[] = []
  readonly wrong: string[] = []
  /** Deliveries of which a person has said that a second message is acceptable. */
  readonly forgiven = new Set<string>()
  /** Those that a person let be made anew: they may say something else from then on. */
  readonly remade = new Set<string>()
  #time: VirtualTime
  #random: () => number
  #made = new Map<string, number>()
  #bytes = new Map<string, string>()
  #latest = new Map<string, number[]>()

  constructor (policy: Uncertain, time: VirtualTime, random: () => number) {
    this.#time = time
    this.#random = random
    this.provider = makeProvider({
      id: policy.replace('_', '-'),
      title: policy,
      uncertain: policy,
      concurrency: 4,
      groups: { events: group('events', WINDOWS) },
      prepare: (_type, scope) => ({ ok: true, request: makeRequest({ body: bodyOf(scope) }) }),
      authorize: (_way, secrets) => ({ authorization: String(secrets.api_key) }),
      ...(policy === 'reconcile' && { code: { id: policy, reconcile: async (_scope, { body }, _sent, ask) => {
        const answer = await ask('messages', {})
        if (answer.kind !== 'answer' || answer.status !== 200) return { is: 'unclear', detail: 'no list' }
        const listed = (JSON.parse(answer.body) as string[]).includes(String(body))
        return listed ? { is: 'found', answers: [{ status: 200, body: '' }] } : { is: 'not_found' }
      } } })
    })
  }

  /**
   * The clock was set ahead: what was sent before looks older than it is to whoever takes an account over, or opens it again, and
   * no window spans that moment any more. Nor is a list late from then on: it would be believed too soon.
   */
  clockSetAhead (): void {
    this.#latest.clear()
    this.listedAfterMs = 0
  }

  /** How many requests, and messages made of them. */
  get counts (): { arrived: number, made: number } { return { arrived: this.arrivals.length, made: this.arrivals.filter(({ acted }) => acted).length } }

  /** What a gateway sends with: as the real one, it never throws and answers within the deadline. */
  sender (process: VirtualProcess): Sender {
    return {
      send: (request, { authorization = '' }, signal) => new Promise<Answer>(resolve => {
        const told = (answer: Answer): void => { process.run(() => { resolve(answer) }) }
        const cut = setTimeout(() => { resolve({ kind: 'no_answer', code: 'DEADLINE', message: 'no full answer within the deadline' }) }, DEADLINE_MS)
        signal.addEventListener('abort', () => {
          clearTimeout(cut)
          resolve({ kind: 'no_answer', code: 'STOPPED', message: 'the gateway stopped' })
        })
        if (this.#happens(this.mood.notConnected)) { this.#time.after(5, () => { told({ kind: 'not_sent', code: 'ECONNREFUSED', message: 'nobody listens' }) }); return }
        const arrivesMs = Math.floor(this.#random() * Math.min(this.mood.slowMs, DEADLINE_MS - 10))
        this.#time.after(arrivesMs, () => {
          const answer = this.#receive(request, accountOf(authorization))
          if (answer) this.#time.after(1 + Math.floor(this.#random() * this.mood.slowMs), () => { clearTimeout(cut); told(answer) })
          else if (this.#random() < 0.5) this.#time.after(20, () => { clearTimeout(cut); told({ kind: 'no_answer', code: 'ECONNRESET', message: 'the connection broke' }) })
        })
      }),
      async close () { await wait(0) }
    }
  }

  /** Null: there is no answer. */
  #receive (request: PreparedRequest, account: string): Answer | null {
    const key = request.body === null ? null : (JSON.parse(request.body) as { key: string }).key
    const arrival: Arrival = { at: this.#time.now, account, key, body: request.body, acted: false }
    this.arrivals.push(arrival)
    this.#count(account, arrival.at)
    if (this.#happens(this.mood.lostBefore)) return null
    if (this.locked.has(account)) return reply(401)
    if (this.#happens(this.mood.limited)) return reply(429, this.#random() < 0.5 ? { 'retry-after': String(1 + Math.floor(this.#random() * 40)) } : {})
    if (this.#happens(this.mood.failing)) {
      if (this.#random() < 0.3) this.#act(arrival)
      return reply(503)
    }
    if (this.#happens(this.mood.refused)) return reply(400)
    this.#act(arrival)
    if (this.#happens(this.mood.lostAfter)) return null
    return request.body === null ? reply(200, {}, JSON.stringify(this.#listed(account))) : reply(200)
  }

  #listed (account: string): Array<string | null> {
    return this.arrivals.filter(one => one.acted && one.account === account && one.at < this.#time.now - this.listedAfterMs).map(({ body }) => body)
  }

  #act (arrival: Arrival): void {
    const { key, body, at } = arrival
    arrival.acted = true
    if (key === null || body === null) return
    const before = this.#bytes.get(key)
    if (this.provider.uncertain === 'repeat' && before !== undefined && before !== body && !this.remade.has(key)) this.wrong.push(`${at} ${key} came to ${this.provider.id} twice with other bytes: ${before} and ${body}`)
    this.#bytes.set(key, body)
    const made = (this.#made.get(key) ?? 0) + 1
    this.#made.set(key, made)
    if (made > MESSAGES_MAX[this.provider.uncertain] && !this.forgiven.has(key)) this.wrong.push(`${at} ${key} made ${made} messages at ${this.provider.id}`)
  }

  /** All that arrives counts, whatever it is answered. */
  #count (account: string, at: number): void {
    const times = (this.#latest.get(account) ?? []).filter(time => time > at - Math.max(...WINDOWS.map(({ perMs }) => perMs)))
    times.push(at)
    this.#latest.set(account, times)
    for (const { max, perMs } of WINDOWS) {
      const within = times.filter(time => time > at - perMs).length
      if (within > max) this.wrong.push(`${at} account ${account} of ${this.provider.id} had ${within} requests within ${perMs} ms, ${max} are allowed`)
    }
  }

  #happens (chance: number): boolean { return chance > 0 && this.#random() < chance }
}

function reply (status: number, headers: Record<string, string> = {}, body = ''): Answer { return { kind: 'answer', status, headers, body, cut: false } }

/** A secret is `secret of <account>`. */
function accountOf (authorization: string): string { return authorization.replace('secret of ', '') }
