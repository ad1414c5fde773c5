// Grants of connections that are gone, ended at the provider too. Tried again, ever more rarely, and given up aloud in the end.

import type { Runtime, Store } from '../../contract.ts'
import type { Vault } from '../vault.ts'

const AT_ONCE = 50
/** Of the job that looks for them. */
export const LOOK_MS = 15_000
const AGAIN_MS = 30_000
const AGAIN_MAX_MS = 3_600_000
/** About four days. */
const TRIES = 100

export interface RevocationOptions {
  store: Store
  runtime: Runtime
  vault: Vault
  log: Record<'info' | 'warn' | 'error', (fields: object, message: string) => void>
  /** Null when it is done; else why it is not. */
  revoke (provider: string, refreshToken: string): Promise<string | null>
}

/** All that is due, one after the other. Throws GW_STORE_FAILED; what was not done is due still. */
export async function endRevocations ({ store, runtime, vault, log, revoke }: RevocationOptions): Promise<void> {
  for (const { id, shop, provider, key_id: keyId, version, sealed, tries } of await store.read('revocations_due', { now: runtime.now(), limit: AT_ONCE })) {
    const about = { shop: String(shop), provider: String(provider) }
    const why = await ended(() => revoke(about.provider, vault.open({ ...about, field: `revoke ${String(id)}` }, { keyId: String(keyId), version: Number(version), sealed: sealed as Uint8Array })))
    const last = Number(tries) + 1 >= TRIES
    if (why !== null && !last) {
      const dueAt = runtime.now() + Math.min(AGAIN_MS * 2 ** Number(tries), AGAIN_MAX_MS)
      await store.commit([{ name: 'delay_revocation', params: { id: String(id), due_at: dueAt } }])
      continue
    }
    if (why === null) log.info(about, 'a grant was ended at the provider')
    else log.error({ ...about, detail: why }, 'a grant could not be ended at the provider; the merchant can remove the app there')
    await store.commit([{ name: 'end_revocation', params: { id: String(id) } }])
  }
}

async function ended (revoke: () => Promise<string | null>): Promise<string | null> {
  try {
    return await revoke()
  } catch (error) {
    return (error as Error).message
  }
}
