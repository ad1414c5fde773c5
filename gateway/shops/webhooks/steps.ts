// What a change of a connection means for the webhooks of its account, in the unit of the change.

import type { Provider, Runtime, Step, Store } from '../../contract.ts'
import type { Connection } from '../connections.ts'
import type { Vault } from '../vault.ts'

export interface WebhookTools { vault: Vault, runtime: Runtime, store: Pick<Store, 'nextKey'> }

/** Credentials that are about to go, as they are kept until the provider was told. */
export interface Leaving { auth: string, account_id: string, settings: Record<string, unknown>, secrets: Record<string, string> }

/** The registration of an account is looked after as soon as may be; nothing where the provider needs none. */
export function lookAfterSteps (provider: Pick<Provider, 'id' | 'webhooks'> | undefined, account: string, { runtime, store }: Pick<WebhookTools, 'runtime' | 'store'>): Step[] {
  if (provider?.webhooks === undefined) return []
  return [{ name: 'put_webhooks_job', params: { job_key: store.nextKey('jobs'), id: runtime.id('job_'), provider: provider.id, account, now: runtime.now() } }]
}

/**
 * After the step that takes a connection away: where it was the account's last, its address answers no more, and the provider is
 * told soon, with the credentials that were. By OAuth that is the access token of the moment, which ends with the grant.
 */
export function leavingSteps (shop: string, provider: Provider | undefined, before: Connection, tools: WebhookTools): Step[] {
  if (provider !== undefined && provider.webhooks === undefined) return []
  const { vault, runtime } = tools
  const at = { account_key: before.accountKey }
  return [
    { name: 'lock_account', params: at },
    { name: 'end_webhooks', params: { ...at, now: runtime.now() } },
    { name: 'drop_webhook_secrets', params: at },
    ...(provider === undefined || before.secrets === null ? [] : [removalStep(shop, before as Connection & { secrets: Record<string, string> }, vault, runtime)]),
    ...lookAfterSteps(provider, before.account, tools)
  ]
}

function removalStep (shop: string, { provider, accountKey, auth, accountId, settings, secrets }: Connection & { secrets: Record<string, string> }, vault: Vault, runtime: Runtime): Step {
  const id = runtime.id('job_')
  const leaving: Leaving = { auth, account_id: accountId, settings, secrets }
  const { keyId, version, sealed } = vault.seal({ shop, provider, field: `webhooks ${id}` }, JSON.stringify(leaving))
  return { name: 'put_webhook_removal', params: { id, account_key: accountKey, shop, provider, key_id: keyId, version, sealed, now: runtime.now() } }
}
