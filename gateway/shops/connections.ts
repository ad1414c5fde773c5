// A shop's account at a provider: what it is made of, the steps that store it, and how it is read again.

import { isDeepStrictEqual } from 'node:util'
import type { Provider, Row, Runtime, Step, Store } from '../contract.ts'
import { revocationStep } from './oauth/revocations.ts'
import type { Vault } from './vault.ts'
import { leavingSteps, lookAfterSteps, type WebhookTools } from './webhooks/steps.ts'

const SLOTS = 256

export interface Connection {
  /** Null where a shop has none of its own at the platform's account. */
  id: string | null
  provider: string
  /** The account is the platform's: the shop gives settings, and nothing has to be set up. */
  platform: boolean
  /** Which of the manifest's `auth` ways its secrets belong to. */
  auth: string
  accountId: string
  accountKey: number
  account: string
  /** What the provider calls the account; '' where that is not known. */
  name: string
  settings: Record<string, unknown>
  /** Set-up groups that were declared to be set up. */
  ready: string[]
  /** Set-up groups whose steps are all done. */
  setUp: string[]
  /** Null where they cannot be opened: the key they were sealed with is gone, or they were changed. */
  secrets: Record<string, string> | null
  /** Null where its secrets are no tokens of OAuth. */
  oauth: Grant | null
}

/** What is known of the tokens of a connection by OAuth; they themselves are among its secrets. */
export interface Grant {
  /** Rises with each new token of a connection. */
  version: number
  obtainedAt: number
  expiresAt: number
  /** As granted. */
  scopes: string[]
  /** When the provider was found to take the refresh token no more. */
  brokenAt: number | null
}

/** A connection that can be used. */
export interface OpenConnection extends Connection { secrets: Record<string, string> }

export interface ConnectionInput {
  auth: string | null
  secrets: Record<string, string>
  accountId: string | null
  /** Undefined: as it was. */
  name?: string
  settings: Record<string, unknown>
  ready: string[]
}

interface ShopOf { key: number, id: string }

/** The steps that store a connection, and what queues and checks see of it afterwards. */
export function connectionSteps (shop: ShopOf, provider: Provider, input: ConnectionInput, before: Connection | null, tools: WebhookTools): { account: string, setUp: string[], steps: Step[] } {
  const { vault, runtime } = tools
  const way = input.auth ?? Object.keys(provider.auth)[0] ?? ''
  const settings = { ...provider.settingsDefaults, ...input.settings }
  const account = accountOf(provider, input, settings, vault)
  const place = { shop_key: shop.key, provider: provider.id }
  const now = runtime.now()
  const kept = before !== null && isSameAccount(before, input.accountId) ? before : null
  const setUp = before !== null && before.auth === way && isProvenSame(before, input) ? before.setUp : []
  return {
    account,
    setUp,
    steps: [
      ...accountSteps(provider.id, account, before?.account ?? null),
      ...(before !== null && (kept === null || before.auth !== way) ? revocationSteps(shop, before, { vault, runtime }) : []), // at the same account the new grant may be one with the old
      { name: 'upsert_connection', params: { ...place, id: runtime.id('con_'), auth: way, account_id: input.accountId ?? '', account, name: input.name ?? kept?.name ?? '', settings: JSON.stringify(settings), ready: JSON.stringify(input.ready), set_up: JSON.stringify(setUp), now } },
      { name: 'drop_secrets', params: place },
      ...Object.entries(input.secrets).map(([field, text]) => {
        const { keyId, version, sealed } = vault.seal({ shop: shop.id, provider: provider.id, field }, text)
        return { name: 'put_secret', params: { ...place, field, key_id: keyId, version, sealed } }
      }),
      ...(before !== null && before.account !== account ? leavingSteps(shop.id, provider, before, tools) : []),
      ...lookAfterSteps(provider, account, tools)
    ]
  }
}

/** The provider is told that the grant of a connection has ended, sooner or later; without one there is nothing to tell. */
export function revocationSteps (shop: ShopOf, { provider, oauth, secrets, accountId }: Connection, tools: { vault: Vault, runtime: Runtime }): Step[] {
  const refreshToken = secrets?.['refresh_token']
  if (oauth === null || oauth.brokenAt !== null || refreshToken === undefined) return []
  return [revocationStep({ shop: shop.id, provider, accountId, refreshToken }, tools)]
}

/** The steps that end a connection here at once, and at the provider soon. */
export function disconnectSteps (shop: ShopOf, id: string, provider: Provider | undefined, connection: Connection | undefined, tools: WebhookTools): Step[] {
  const params = { shop_key: shop.key, provider: id }
  return [
    ...(connection ? revocationSteps(shop, connection, tools) : []),
    { name: 'drop_secrets', params },
    { name: 'delete_connection', params },
    ...(connection && !connection.platform ? leavingSteps(shop.id, provider, connection, tools) : [])
  ]
}

/** The steps by which it is known no more whose account the credentials are, where they may be another one's than before. */
export function uncheckSteps (shop: ShopOf, provider: Provider, input: ConnectionInput, before: Connection | undefined): Step[] {
  if (!hasNewSecrets(input, before) || (before !== undefined && isProvenSame(before, input))) return []
  return provider.setup.filter(({ kind }) => kind === 'api_key' || kind === 'oauth2').map(({ id }) => ({ name: 'uncheck_setup', params: { shop_key: shop.key, provider: provider.id, step: id } }))
}

/** Whether credentials come with it that are not the connection's already. */
export function hasNewSecrets ({ secrets }: ConnectionInput, before: Connection | undefined): boolean {
  return Object.keys(secrets).length > 0 && !isDeepStrictEqual(before?.secrets, secrets)
}

/** The same credentials, or an account that the provider called the same: what was set up by them still is. */
function isProvenSame ({ accountId, secrets }: Connection, input: ConnectionInput): boolean {
  return isDeepStrictEqual(secrets, input.secrets) || (accountId !== '' && accountId === input.accountId)
}

/** What was set up at another account is not set up at this one. Where an id is not known, it is taken for the same. */
export function isSameAccount (before: Pick<Connection, 'accountId'>, accountId: string | null): boolean {
  return accountId === null || before.accountId === '' || before.accountId === accountId
}

/** The row of an account, where there is none yet. */
export function accountStep (provider: string, account: string): Step {
  return { name: 'ensure_account', params: { provider, account, slot: slotOf(`${provider}/${account}`) } }
}

/** The row of an account whose credentials were given anew, and what held it is lifted. `before`: what stood for it till now. */
export function accountSteps (provider: string, account: string, before: string | null): Step[] {
  return [
    accountStep(provider, account),
    { name: 'release_account', params: { provider, account } },
    ...(before !== null && before !== account ? [{ name: 'inherit_account', params: { provider, account, before } }] : [])
  ]
}

/** The provider's own identity of the account; before it is known, a keyed hash of the secrets stands for it. */
export function accountOf (provider: Provider, input: Pick<ConnectionInput, 'accountId' | 'secrets'>, settings: Record<string, unknown>, vault: Vault): string {
  if (input.accountId !== null) return provider.account({ account_id: input.accountId, settings })
  const secrets = Object.keys(input.secrets).toSorted().map(field => `${field}=${input.secrets[field]}`).join('\0')
  return `key:${vault.fingerprint(`account ${provider.id}`, secrets).toString('hex')}`
}

/** The step that changes these settings and nothing else; null where they are so already, or there is no connection. */
export function adjustStep (shop: ShopOf, connection: Connection | undefined, settings: Record<string, unknown>, runtime: Runtime): Step | null {
  if (!connection || Object.keys(settings).every(name => isDeepStrictEqual(settings[name], connection.settings[name]))) return null
  const { provider, auth, accountId, account, ready } = connection
  return { name: 'adjust_connection', params: { shop_key: shop.key, provider, id: runtime.id('con_'), auth, account_id: accountId, account, settings: JSON.stringify(settings), ready: JSON.stringify(ready), now: runtime.now() } }
}

export async function readConnection (shop: ShopOf, row: Row, store: Store, vault: Vault): Promise<Connection> {
  const provider = String(row.provider)
  return {
    id: String(row.id),
    provider,
    platform: false,
    auth: String(row.auth),
    accountId: String(row.account_id),
    accountKey: Number(row.account_key),
    account: String(row.account),
    name: String(row.name),
    settings: JSON.parse(String(row.settings)) as Record<string, unknown>,
    ready: JSON.parse(String(row.ready)) as string[],
    setUp: JSON.parse(String(row.set_up)) as string[],
    secrets: opened(await store.read('secrets', { connection_key: row.connection_key as number }), shop, provider, vault),
    oauth: row.oauth === null ? null : JSON.parse(String(row.oauth)) as Grant
  }
}

/** One shop's secrets that cannot be opened are that shop's trouble, and nobody else's. */
export function opened (rows: readonly Row[], shop: Pick<ShopOf, 'id'>, provider: string, vault: Vault): Record<string, string> | null {
  try {
    return Object.fromEntries(rows.map(({ field, key_id: keyId, version, sealed }) =>
      [String(field), vault.open({ shop: shop.id, provider, field: String(field) }, { keyId: String(keyId), version: Number(version), sealed: sealed as Uint8Array })]))
  } catch {
    return null
  }
}

/** FNV-1a: spreads accounts over the slots, the same on every instance. */
function slotOf (text: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return (hash >>> 0) % SLOTS
}
