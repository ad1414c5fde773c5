// Grants that nobody is to have any more, ended at the provider too. A provider may end all that an app was granted by an account
// with one token of it: where the account is connected, or may be so in a moment, nothing is ended. Else it is tried again, ever
// more rarely, and given up aloud in the end.

import type { Row, Runtime, Step, Store } from '../../contract.ts'
import type { Grant } from '../connections.ts'
import type { Vault } from '../vault.ts'
import { FLOW_MS } from './flows.ts'

const AT_ONCE = 50
/** Of the job that looks for them. */
export const LOOK_MS = 15_000
const AGAIN_MS = 30_000
const AGAIN_MAX_MS = 3_600_000
/** While the config has no app at the provider: soon after it has one. */
const NO_APP_AGAIN_MS = 5 * 60_000
/** It is given up after both: a clock that was set on gives up nothing. */
const GIVE_UP_MS = 4 * 24 * 3_600_000
const TRIES_MIN = 10
/** Of the tries that fail, one in so many is told. */
const TELL_EACH = 12
/** Longer than a code takes to become tokens that are kept. */
const COMING_MS = 15_000
/** Merchants who come one after the other put nothing off for longer. */
const PUT_OFF_MAX_MS = 3_600_000

/** What nobody is to have. `accountId`: as the provider calls the account, '' where it never said. */
export interface Unwanted { shop: string, provider: string, accountId: string, refreshToken: string }

/** The step that has it ended at the provider, sooner or later. */
export function revocationStep ({ shop, provider, accountId, refreshToken }: Unwanted, { vault, runtime }: { vault: Vault, runtime: Runtime }): Step {
  const id = runtime.id('job_')
  const { keyId, version, sealed } = vault.seal({ shop, provider, field: `revoke ${id}` }, refreshToken)
  return { name: 'put_revocation', params: { id, shop, provider, account_id: accountId, key_id: keyId, version, sealed, now: runtime.now() } }
}

/** `no_app`: the config has none at the provider by which it could be asked. `no_way`: the provider ends no grants. */
export type Revoked = { is: 'done' } | { is: 'no_app' } | { is: 'no_way' } | { is: 'failing', detail: string }

export interface RevocationOptions {
  store: Store
  runtime: Runtime
  vault: Vault
  log: Record<'info' | 'warn' | 'error', (fields: object, message: string) => void>
  revoke (provider: string, refreshToken: string): Promise<Revoked>
}

interface Due { id: string, shop: string, provider: string, accountId: string, tries: number, ageMs: number, open (): string }

/** All that is due, one after the other. Throws GW_STORE_FAILED; what was not done is due still. */
export async function endRevocations (options: RevocationOptions): Promise<void> {
  const { store, runtime } = options
  for (const row of await store.read('revocations_due', { now: runtime.now(), limit: AT_ONCE })) await endOne(dueOf(row, options), options)
}

async function endOne (due: Due, options: RevocationOptions): Promise<void> {
  const { store, runtime, log } = options
  const { id, shop, provider, tries, ageMs } = due
  const about = { shop, provider }
  const later = (ms: number, paid: 0 | 1) => store.commit([{ name: 'delay_revocation', params: { id, paid, due_at: runtime.now() + ms } }])
  const over = () => store.commit([{ name: 'end_revocation', params: { id } }])
  if ((await beside(due, store)).length > 0) {
    log.info(about, 'a grant is not ended at the provider: the account is connected still or again, and could lose its access with it')
    await over()
    return
  }
  if (Math.abs(ageMs) < PUT_OFF_MAX_MS && await isComing(due, options)) {
    await later(LOOK_MS, 0)
    return
  }
  const revoked = await revokedBy(due, options)
  if (revoked.is === 'done' || revoked.is === 'no_way') {
    log.info(about, revoked.is === 'done' ? 'a grant was ended at the provider' : 'the provider has no way to end a grant; the merchant can remove the app there')
    await over()
    if (revoked.is === 'done') await recheckThose(await beside(due, store), options)
    return
  }
  const detail = revoked.is === 'no_app' ? 'the config has no app at the provider: give client_id and client_secret under providers.<id>.secrets' : revoked.detail
  if (ageMs >= GIVE_UP_MS && tries + 1 >= TRIES_MIN) {
    log.error({ ...about, detail }, 'a grant could not be ended at the provider; the merchant can remove the app there')
    await over()
    return
  }
  if (tries % TELL_EACH === 0) log.warn({ ...about, detail, tries: tries + 1 }, 'a grant is not ended at the provider yet; it is tried again, for four days')
  await later(revoked.is === 'no_app' ? NO_APP_AGAIN_MS : Math.min(AGAIN_MS * 2 ** tries, AGAIN_MAX_MS), 1)
}

/** Connections whose tokens may end with it; those that have ended already cannot. */
async function beside ({ shop, provider, accountId }: Due, store: Store): Promise<Row[]> {
  const rows = await store.read('grants_beside', { shop, provider, account_id: accountId })
  return rows.filter(({ oauth }) => (JSON.parse(String(oauth)) as Grant).brokenAt === null)
}

/** Connected while the provider was told: whether that ended their tokens is found out now, and not by the next message. */
async function recheckThose (connections: readonly Row[], { store, runtime, log }: RevocationOptions): Promise<void> {
  if (connections.length === 0) return
  const now = runtime.now()
  log.warn({ provider: String(connections[0]?.provider), connections: connections.length }, 'the account was connected while a grant of it was ended; its connections are checked')
  await store.commit(connections.flatMap(row => {
    const job = { kind: 'setup_recheck', unique_key: `${Number(row.shop_key)}/${String(row.provider)}` }
    return [
      { name: 'put_job', params: { job_key: store.nextKey('jobs'), id: runtime.id('job_'), ...job, account_key: row.account_key as number, delivery_key: null, due_at: now, now } },
      { name: 'raise_job', params: { ...job, now } } // it may wait for its turn of the day
    ]
  }))
}

async function isComing ({ shop, provider }: Due, { store, runtime }: RevocationOptions): Promise<boolean> {
  const since = runtime.now() - COMING_MS
  return (await store.read('merchants_coming', { shop, provider, since, after: since - FLOW_MS })).length > 0
}

async function revokedBy ({ provider, open }: Due, { revoke }: RevocationOptions): Promise<Revoked> {
  try {
    return await revoke(provider, open())
  } catch (error) {
    return { is: 'failing', detail: (error as Error).message }
  }
}

function dueOf (row: Row, { vault, runtime }: RevocationOptions): Due {
  const [id, shop, provider] = [String(row.id), String(row.shop), String(row.provider)]
  return {
    id,
    shop,
    provider,
    accountId: String(row.account_id),
    tries: Number(row.tries),
    ageMs: runtime.now() - Number(row.created_at),
    open: () => vault.open({ shop, provider, field: `revoke ${id}` }, { keyId: String(row.key_id), version: Number(row.version), sealed: row.sealed as Uint8Array })
  }
}
