// POST /webhooks/<provider>/<token>: what a provider tells of an account. The address is known to the provider alone, and each call
// carries the account's own token: both are compared before a byte of the body is read, since neither covers it. What is accepted
// is on disk before it is answered; what it says of a person is passed on from there.

import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { InboundContext, Provider, ProviderWebhooks, Received, Store, Translated } from '../../contract.ts'
import { GatewayError } from '../../errors.ts'
import { hashOf, isSigned, calledAt, textAt, type Called } from './registration.ts'
import { objectOf, readNotice, refIn, repeatOf, type Notice } from './notice.ts'
import type { KeepOptions } from './keep.ts'
import { lookAfterSteps } from './steps.ts'

const BODY_CAP_BYTES = 256 * 1024
/** The header of a row that says by which registration it came. */
const BY = 'x-gateway-webhooks'
/** The provider may have made a new token: it is asked for it no more often than that, whoever calls. What was refused comes again in minutes. */
const REFUSED_MS = 10 * 60_000
const TOPIC_UNREADABLE = 'unreadable'

export interface ReceivingOptions extends KeepOptions {
  store: Store
  /** Resolves when what was told is on disk, with all that follows from it; told twice, it changes nothing more. */
  noticed (notice: Notice): Promise<void>
  /** There is a job: no reason to wait for the next look. */
  look (): void
}

export function noticeRoute (app: FastifyInstance, provider: Provider & { webhooks: ProviderWebhooks }, context: Pick<InboundContext, 'receive'>, options: ReceivingOptions): void {
  const callers = new WeakMap<FastifyRequest, Called>()
  app.post<{ Params: { token: string } }>('/:token', {
    bodyLimit: BODY_CAP_BYTES,
    onRequest: async (request, reply) => {
      const called = await calledAt(provider.id, request.params.token, options)
      if (called !== null && isSigned(request.headers[provider.webhooks.token.header], called.signature)) {
        callers.set(request, called)
        return undefined
      }
      void reply.header('connection', 'close') // its body is not waited for
      if (called === null) throw new GatewayError('GW_NOT_FOUND', 'Nothing is here.')
      await refused(called, provider, options)
      return await reply.code(401).send({ error: { message: 'Not accepted.' } })
    }
  }, async request => {
    const { id, accountKey, shop } = callers.get(request) as Called
    const text = Buffer.isBuffer(request.body) ? request.body.toString('utf8') : ''
    const body = objectOf(text)
    const repeat = body === null ? null : repeatOf(body, provider.webhooks)
    const result = await context.receive({
      keys: [JSON.stringify([accountKey, ...(repeat ?? ['body', hashOf(text)])])],
      topic: body === null ? TOPIC_UNREADABLE : textAt(body, provider.webhooks.eventAt) ?? TOPIC_UNREADABLE,
      shop,
      subject: body === null ? null : refIn(body, provider.webhooks),
      headers: { [BY]: id },
      body: text
    })
    return { status: result === 'new' ? 'received' : 'repeat' }
  })
}

/** The token that is known may be an old one, or there was none yet: it is fetched, and the call comes again. */
async function refused ({ id, accountKey }: Called, provider: Provider, options: ReceivingOptions): Promise<void> {
  const { store, runtime, look } = options
  const now = runtime.now()
  const [first] = await store.commit([{ name: 'refuse_webhooks', params: { id, now, before: now - REFUSED_MS } }])
  if (first?.changes !== 1) return
  const [account] = await store.read('account', { account_key: accountKey })
  await store.commit(lookAfterSteps(provider, String(account?.account), options))
  store.tell({ jobs: true })
  look()
}

/** What follows from a row of the inbox. */
export async function understood (received: Received, provider: Provider & { webhooks: ProviderWebhooks }, { store, noticed }: Pick<ReceivingOptions, 'store' | 'noticed'>): Promise<Translated> {
  const { title, webhooks } = provider
  const [registration] = await store.read('webhooks_by_id', { id: received.headers[BY] ?? '' })
  if (registration === undefined || registration.provider !== provider.id) return { is: 'recorded', reason: 'callback', detail: 'It came to another address, and is kept.' }
  const body = objectOf(received.body)
  if (body === null) return { is: 'parked', reason: 'not_json', detail: `${title} sent something that is no object of JSON.` }
  const read = readNotice(body, webhooks, received.receivedAt)
  if (read.is === 'other') return { is: 'recorded', reason: 'not_acted_on', detail: 'Nothing follows from this event.' }
  if (read.is === 'nobody') return { is: 'parked', reason: 'nobody_named', detail: `${title} told of ${read.event}, and neither a phone number nor an id stands where the manifest looks for them.` }
  await noticed({ accountKey: registration.account_key as number, ...read.notice })
  return { is: 'recorded', reason: 'noticed', detail: read.notice.state === 'subscribed' ? `${title} tells that a customer may be texted from now on.` : `${title} tells that a customer wants no more texts.` }
}
