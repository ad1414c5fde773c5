// The platform's own accounts: one per provider that every shop sends over. Their credentials stand in the config and
// are never stored; a shop's row, where it has one, carries its settings alone.

import type { Config, Provider, Row, Runtime, Step, Store } from '../contract.ts'
import { accountStep, accountSteps, type OpenConnection } from './connections.ts'
import type { Vault } from './vault.ts'

/** Stands for the account where the config does not tell the provider's own id of it: new credentials are still the same account. */
const UNNAMED = 'gateway'

export interface PlatformAccount {
  provider: Provider
  /** Which of the manifest's `auth` ways its secrets belong to. */
  auth: string
  accountId: string
  account: string
  accountKey: number
  secrets: Record<string, string>
}

/** By provider. */
export type PlatformAccounts = ReadonlyMap<string, PlatformAccount>

export interface PlatformOptions { store: Store, vault: Vault, runtime: Runtime }

/**
 * The accounts that a config declares, each with its row. One that the platform gave other credentials, options or addresses
 * than when it was last used is released from what held it, and its key is among `changed`.
 */
export async function platformAccounts (config: Config, providers: ReadonlyMap<string, Provider>, options: PlatformOptions): Promise<{ accounts: PlatformAccounts, changed: number[] }> {
  const accounts = new Map<string, PlatformAccount>()
  const changed: number[] = []
  for (const { id, connection, baseUrl } of config.providers) {
    const provider = providers.get(id)
    if (provider?.connection !== 'gateway' || connection === null) continue
    const auth = connection.auth ?? Object.keys(provider.auth)[0] ?? ''
    const secrets = Object.fromEntries(Object.entries(connection.secrets).map(([field, secret]) => [field, secret.reveal()]))
    const account = connection.accountId === null ? UNNAMED : provider.account({ account_id: connection.accountId, settings: provider.settingsDefaults })
    // The sandbox may be at another port each time, and is the same all the same.
    const address = baseUrl ?? (config.sandbox.enabled ? 'sandbox' : provider.baseUrl)
    const row = await ensured(provider, account, JSON.stringify([auth, Object.entries(secrets).toSorted(), provider.options, address, config.server.publicUrl]), options)
    accounts.set(id, { provider, auth, accountId: connection.accountId ?? '', account, accountKey: row.accountKey, secrets })
    if (row.changed) changed.push(row.accountKey)
  }
  return { accounts, changed }
}

/** What waits for an account of another id follows with the refresh of all queues. `given`: all that an answer which holds the account may be about. */
async function ensured (provider: Provider, account: string, given: string, { store, vault, runtime }: PlatformOptions): Promise<{ accountKey: number, changed: boolean }> {
  const declared = vault.fingerprint('platform account', given).toString('hex')
  const [before] = await store.read('declared_account', { provider: provider.id })
  if (before?.account === account && before.declared === declared) return { accountKey: before.account_key as number, changed: false }
  await store.commit([
    ...accountSteps(provider.id, account, before === undefined ? null : String(before.account)),
    { name: 'declare_account', params: { provider: provider.id, account, declared } },
    { name: 'audit', params: { at: runtime.now(), actor: 'config', action: 'account.put', shop: null, subject: provider.id } }
  ])
  const [row] = await store.read('declared_account', { provider: provider.id })
  return { accountKey: row?.account_key as number, changed: true }
}

/** The account as a shop sees it; `row` holds the shop's settings, where it chose any. */
export function platformConnection ({ provider, auth, accountId, account, accountKey, secrets }: PlatformAccount, row: Row | undefined): OpenConnection {
  const settings = row === undefined ? {} : JSON.parse(String(row.settings)) as Record<string, unknown>
  return {
    id: row === undefined ? null : String(row.id),
    provider: provider.id,
    platform: true,
    auth,
    accountId,
    accountKey,
    account,
    name: '',
    settings: { ...provider.settingsDefaults, ...settings },
    ready: [],
    setUp: [],
    secrets,
    oauth: null
  }
}

/**
 * The steps that store what a shop chose for itself, and no more: a better default reaches those who chose nothing.
 * While the platform has no account there, the settings wait for it.
 */
export function settingsSteps (shopKey: number, provider: string, platform: PlatformAccount | undefined, settings: Record<string, unknown>, runtime: Runtime): Step[] {
  const { auth = '', account = UNNAMED } = platform ?? {}
  const row = { shop_key: shopKey, provider, id: runtime.id('con_'), auth, account_id: '', account, name: '', settings: JSON.stringify(settings), ready: '[]', set_up: '[]', now: runtime.now() }
  return [accountStep(provider, account), { name: 'upsert_connection', params: row }]
}
