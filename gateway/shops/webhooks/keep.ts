// Looks after the subscriptions of an account, as a job of the gateway that the account belongs to: what is missing is made, what is
// doubled or leads to an old address of ours is taken back, and so is all of it once nobody here is connected any more. It begins by
// looking at what there is, so an answer that was lost, or a gateway that was killed, leaves no second subscription.

import type { Provider, ProviderWebhooks, Row, Store } from '../../contract.ts'
import type { Reason } from '../../reasons.ts'
import type { OpenConnection } from '../connections.ts'
import type { Shops } from '../shops.ts'
import { asked, itemsOf, type Asking, type Subject, type Told } from '../setup/asking.ts'
import { pathOf, planOf, register, secretStep, textAt, type Plan, type Registration } from './registration.ts'
import type { Leaving, WebhookTools } from './steps.ts'

const AGAIN_MS = 2000
const AGAIN_MAX_MS = 3_600_000
/** Of taking back what was made: from then on it is the provider's to find out that nobody answers. */
const REMOVAL_TRIES = 12
/** What one that is gone already may be answered with: the list of what there is tells. */
const MAYBE_GONE: ReadonlySet<Reason> = new Set(['target_gone', 'payload_refused', 'request_refused'])
/** Connections of one account whose credentials are tried. */
const CONNECTIONS_MAX = 20

export interface KeepOptions extends Asking, WebhookTools {
  store: Store
  shops: Shops
  provider (id: string): Provider | undefined
  /** Where providers reach this gateway, null where none does. */
  publicUrl (): string | null
  log: Record<'info' | 'warn' | 'error', (fields: object, message: string) => void>
}

export interface WebhooksJob { accountKey: number | null, cursor: string | null }
/** When it is tried once more; null: it has ended. `cursor` counts the tries. */
export type Again = { dueAt: number, cursor: string } | null

type Refused = Exclude<Told, { is: 'ok' }>
interface Kept { provider: Provider, webhooks: ProviderWebhooks }

export async function keepWebhooks ({ accountKey, cursor }: WebhooksJob, options: KeepOptions): Promise<Again> {
  const [account] = await options.store.read('account', { account_key: accountKey })
  const provider = options.provider(String(account?.provider))
  if (accountKey === null || provider?.webhooks === undefined) return null
  const kept = { provider, webhooks: provider.webhooks }
  const rows = await options.store.read('connections_at', { account_key: accountKey, provider: provider.id, limit: CONNECTIONS_MAX })
  const tries = Number(cursor ?? 0) + 1
  const failed = rows.length === 0
    ? await removeAll(accountKey, kept, tries, options)
    : await registerBy(rows, accountKey, kept, options)
  if (failed?.is !== 'later') return null
  return { dueAt: options.runtime.now() + Math.max(failed.afterMs, Math.min(AGAIN_MS * 2 ** (tries - 1), AGAIN_MAX_MS)), cursor: String(tries) }
}

/** By the first of the shops, the longest connected one first, whose credentials are taken. What a person must put right ends it: the next look is tomorrow's, or that of a new connection. */
async function registerBy (rows: readonly Row[], accountKey: number, kept: Kept, options: KeepOptions): Promise<Refused | null> {
  const { store, runtime } = options
  const url = options.publicUrl()
  if (url === null) return null
  const registration = await register(accountKey, kept.provider.id, options)
  if (registration === null) return null
  let failed: Refused | null = { is: 'refused', reason: 'credentials_unreadable', detail: null }
  for (const row of rows) {
    const connection = (await options.shops.byKey(Number(row.shop_key), Number(row.version))).connections.get(kept.provider.id)
    if (connection === undefined || connection.secrets === null || connection.accountKey !== accountKey) continue
    failed = scrubbed(await subscribed(url, registration, { provider: kept.provider, connection: connection as OpenConnection }, kept, options), connection as OpenConnection, options)
    if (failed?.is !== 'refused') break
  }
  if (failed === null) return null
  const isOn = failed.is === 'later' && registration.url === url // it was so before: nothing says that it is not any more
  if (!isOn) await store.commit([{ name: 'settle_webhooks', params: { id: registration.id, url: null, reason: failed.reason, now: runtime.now() } }])
  tell('webhooks could not be registered', failed, registration, kept, options)
  return failed
}

/** Null when everything is as it must be, and on disk. */
async function subscribed (url: string, registration: Registration, subject: Subject, { provider, webhooks }: Kept, options: KeepOptions): Promise<Refused | null> {
  const { store, vault, runtime, log } = options
  const address = url + pathOf(provider.id, registration.token as string)
  const before = await planned(address, subject, webhooks, options)
  if ('is' in before) return before
  const changes = before.remove.length + before.missing.length
  const failed = await removed(before.remove, subject, webhooks, options)
  if (failed !== null) return failed
  for (const event of before.missing) {
    const answer = await asked(webhooks.subscribe.request, { callback_url: address, event }, subject, options)
    if (answer.is !== 'ok') return answer
  }
  if (changes > 0) {
    const after = await planned(address, subject, webhooks, options)
    if ('is' in after) return after
    if (after.remove.length + after.missing.length > 0) return { is: 'later', reason: 'subscription_not_kept', detail: null, afterMs: 0 }
  }
  const token = await asked(webhooks.token.request, {}, subject, options)
  if (token.is !== 'ok') return token
  const signature = textAt(token.body, webhooks.token.at)
  if (signature === null) return { is: 'later', reason: 'answer_unreadable', detail: `no token at ${webhooks.token.at}`, afterMs: 0 }
  await store.commit([
    { name: 'lock_account', params: { account_key: registration.accountKey } },
    // Both, also where they are as they were: by the key that seals now.
    secretStep(registration.id, 'address', registration.token as string, provider.id, vault),
    secretStep(registration.id, 'signature', signature, provider.id, vault),
    { name: 'settle_webhooks', params: { id: registration.id, url, reason: null, now: runtime.now() } },
    { name: 'drop_webhook_removals', params: { account_key: registration.accountKey } }
  ])
  if (changes > 0) log.info({ provider: provider.id, made: before.missing.length, removed: before.remove.length }, 'webhooks are registered')
  return null
}

/** `address` null: of ours there is to be none. */
async function planned (address: string | null, subject: Subject, webhooks: ProviderWebhooks, options: KeepOptions): Promise<Plan | Refused> {
  const answer = await itemsOf(webhooks.list, {}, subject, options)
  return answer.is === 'ok' ? await planOf(answer.items, address, subject.provider.id, webhooks, options.store) : answer
}

async function removed (ids: readonly string[], subject: Subject, webhooks: ProviderWebhooks, asking: Asking): Promise<Refused | null> {
  for (const id of ids) {
    const answer = await asked(webhooks.unsubscribe.request, { webhook_id: id }, subject, asking)
    if (answer.is === 'later' || (answer.is === 'refused' && !MAYBE_GONE.has(answer.reason))) return answer
  }
  return null
}

/** Null when nothing of ours is left there. */
async function unsubscribed (subject: Subject, webhooks: ProviderWebhooks, options: KeepOptions): Promise<Refused | null> {
  const before = await planned(null, subject, webhooks, options)
  if ('is' in before) return before
  if (before.remove.length === 0) return null
  const failed = await removed(before.remove, subject, webhooks, options)
  if (failed !== null) return failed
  const after = await planned(null, subject, webhooks, options)
  if ('is' in after) return after
  return after.remove.length === 0 ? null : { is: 'later', reason: 'subscription_not_kept', detail: null, afterMs: 0 }
}

/** With the credentials that each of the connections that are gone left behind, which then go too. */
async function removeAll (accountKey: number, kept: Kept, tries: number, options: KeepOptions): Promise<Refused | null> {
  const { store, log } = options
  const { provider, webhooks } = kept
  const asking = { ...options, ask: (connection, request, scope) => options.ask(connection, request, scope, false) } satisfies KeepOptions // refused, they hold nobody
  for (const row of await store.read('webhook_removals', { account_key: accountKey })) {
    const { id, shop } = row
    const connection = leftBy(row, provider, accountKey, options)
    const failed: Refused | null = connection === null ? { is: 'refused', reason: 'credentials_unreadable', detail: null } : await unsubscribed({ provider, connection }, webhooks, asking)
    if (failed?.is === 'later' && tries < REMOVAL_TRIES) return failed
    await store.commit([{ name: 'drop_webhook_removal', params: { id: String(id) } }])
    if (failed === null) log.info({ provider: provider.id, shop }, 'webhooks were taken back')
    else tell('webhooks could not be taken back; what comes is answered 404', connection === null ? failed : scrubbed(failed, connection, options), null, kept, options)
  }
  return null
}

/** The connection as it was; null where its credentials cannot be opened. */
function leftBy ({ id, shop, key_id: keyId, version, sealed }: Row, provider: Provider, accountKey: number, { vault }: KeepOptions): OpenConnection | null {
  let left: Leaving
  try {
    left = JSON.parse(vault.open({ shop: String(shop), provider: provider.id, field: `webhooks ${String(id)}` }, { keyId: String(keyId), version: Number(version), sealed: sealed as Uint8Array })) as Leaving
  } catch {
    return null
  }
  const { auth, account_id: accountId, settings, secrets } = left
  return { id: null, provider: provider.id, platform: false, auth, accountId, accountKey, account: '', name: '', settings, ready: [], setUp: [], secrets, oauth: null }
}

function scrubbed<F extends Refused | null> (failed: F, connection: OpenConnection, { scrub }: Asking): F {
  return failed === null ? failed : { ...failed, detail: scrub(failed.detail, connection) }
}

/** A provider may repeat the address it was given. */
function tell (message: string, { reason, detail }: { reason: Reason, detail: string | null }, registration: Registration | null, { provider }: Kept, { log }: KeepOptions): void {
  const token = registration?.token ?? null
  log.warn({ provider: provider.id, reason, ...(detail !== null && { detail: token === null ? detail : detail.replaceAll(token, '***') }) }, message)
}
