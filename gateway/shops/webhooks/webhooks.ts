// What providers tell us by themselves, of each account that a shop connects: the jobs that register for it, the addresses where it
// comes in, and how it is shown.

import type { FastifyInstance } from 'fastify'
import type { InboundContext, Provider, ProviderWebhooks, Received, Translated } from '../../contract.ts'
import { sentence, type Reason } from '../../reasons.ts'
import type { Connection } from '../connections.ts'
import { keepWebhooks, type Again, type WebhooksJob } from './keep.ts'
import { noticeRoute, understood, type ReceivingOptions } from './receiving.ts'
import { lookAfterSteps } from './steps.ts'

export type { Notice } from './notice.ts'

const PAGE = 500
/** Between two pages, so that a start with many shops is no burst. */
const APART_MS = 5000
const DAY_MS = 24 * 3_600_000

export interface WebhooksOptions extends ReceivingOptions {
  providers (): ReadonlyMap<string, Provider>
  /** Providers that are played forget everything when the gateway stops. */
  played (): boolean
}

export class Webhooks {
  #o: WebhooksOptions

  constructor (options: WebhooksOptions) { this.#o = options }

  /** After a start, when it is known where this gateway is reached: puts the job that finds what is not registered there. */
  async begin (): Promise<void> {
    const { store, runtime } = this.#o
    if (this.#o.publicUrl() === null) return
    await store.commit([{ name: 'put_job', params: { job_key: store.nextKey('jobs'), id: runtime.id('job_'), kind: 'webhooks_look', unique_key: 'webhooks_look', account_key: null, delivery_key: null, due_at: runtime.now(), now: runtime.now() } }])
  }

  /** A job: puts one for each account that is not registered where this gateway is reached now, or was not looked after for a day. */
  async look (cursor: string | null): Promise<Again> {
    const { store, runtime } = this.#o
    const url = this.#o.publicUrl()
    const providers = new Map([...this.#o.providers()].filter(([, { webhooks }]) => webhooks !== undefined))
    if (url === null || providers.size === 0) return null
    const before = this.#o.played() ? runtime.now() : runtime.now() - DAY_MS
    const rows = await store.read('webhooks_missing', { after: Number(cursor ?? 0), providers: JSON.stringify([...providers.keys()]), url, before, limit: PAGE })
    const steps = rows.flatMap(row => lookAfterSteps(providers.get(String(row.provider)), String(row.account), this.#o))
    if (steps.length > 0) await store.commit(steps)
    const last = rows.at(-1)
    return rows.length === PAGE ? { dueAt: runtime.now() + APART_MS, cursor: String(last?.connection_key) } : null
  }

  /** A job: looks after the subscriptions of an account. */
  async keep (job: WebhooksJob): Promise<Again> { return await keepWebhooks(job, this.#o) }

  /** Where a provider calls, in a scope of its own that lets anyone in. */
  routes (app: FastifyInstance, provider: Provider & { webhooks: ProviderWebhooks }, context: Pick<InboundContext, 'receive'>): void {
    noticeRoute(app, provider, context, this.#o)
  }

  /** What follows from what came in. */
  understood (received: Received, provider: Provider & { webhooks: ProviderWebhooks }): Promise<Translated> { return understood(received, provider, this.#o) }

  /** How it stands with a connection; null where its provider tells nothing by itself. */
  async view (provider: Provider, { accountKey }: Pick<Connection, 'accountKey'>): Promise<{ state: 'on' | 'pending' | 'off', reason: Reason | null, sentence: string | null } | null> {
    if (provider.webhooks === undefined) return null
    const [row] = await this.#o.store.read('webhooks_of', { account_key: accountKey })
    const off = this.#o.publicUrl() === null
    const reason = off ? 'no_public_url' : (row?.reason ?? null) as Reason | null
    return { state: off ? 'off' : row?.url != null && reason === null ? 'on' : 'pending', reason, sentence: reason && sentence(reason, provider.title) }
  }
}
