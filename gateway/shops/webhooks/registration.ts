// The registration of an account: the address a provider is given, and what it proves itself by. The address is as secret as a
// password: a row has its hash and, sealed, the part of it that nobody can guess.

import { hash as digest, timingSafeEqual } from 'node:crypto'
import type { ProviderWebhooks, Row, Runtime, Step, Store } from '../../contract.ts'
import { valueAt } from '../../json-pointer.ts'
import type { Vault } from '../vault.ts'

/** 256 bits, base64url. */
const TOKEN = /^[A-Za-z0-9_-]{43}$/

export interface Registration {
  id: string
  accountKey: number
  hash: string
  /** The secret part of its address; null where it cannot be opened: the key it was sealed with is gone. */
  token: string | null
  /** What the address begins with, as it was registered last; null where it never was. */
  url: string | null
}

interface Tools { store: Store, vault: Vault, runtime: Runtime }

export function pathOf (provider: string, token: string): string { return `/webhooks/${provider}/${token}` }

export function hashOf (token: string): string { return digest('sha256', token, 'base64url') }

/** The hash of the secret part of an address that may be ours, wherever it leads; null where it cannot be. */
export function hashIn (url: unknown, provider: string): string | null {
  const path = typeof url === 'string' ? URL.parse(url)?.pathname ?? '' : ''
  const token = path.slice(path.lastIndexOf('/') + 1)
  return TOKEN.test(token) && path.endsWith(pathOf(provider, token)) ? hashOf(token) : null
}

/** The one of an account that lasts; null where there is none. */
export async function registrationOf (accountKey: number, provider: string, { store, vault }: Pick<Tools, 'store' | 'vault'>): Promise<Registration | null> {
  const [row] = await store.read('webhooks_of', { account_key: accountKey })
  if (row === undefined) return null
  return { id: String(row.id), accountKey, hash: String(row.hash), token: opened(row, { provider, id: String(row.id), field: 'address' }, vault), url: row.url as string | null }
}

/** A new one is on disk before the provider hears of it: whatever becomes of the answer, it is known as ours. Null where the account is not connected any more. */
export async function register (accountKey: number, provider: string, tools: Tools): Promise<Registration | null> {
  const { store, vault, runtime } = tools
  const known = await registrationOf(accountKey, provider, tools)
  if (known !== null && known.token !== null) return known
  const token = vault.token()
  const id = runtime.id('con_').replace('con_', 'whk_')
  await store.commit([
    { name: 'lock_account', params: { account_key: accountKey } },
    ...(known === null ? [] : [{ name: 'give_up_webhooks', params: { id: known.id, now: runtime.now() } }]),
    { name: 'put_webhooks', params: { id, account_key: accountKey, provider, hash: hashOf(token), now: runtime.now() } },
    secretStep(id, 'address', token, provider, vault)
  ])
  return await registrationOf(accountKey, provider, tools)
}

export function secretStep (id: string, field: 'address' | 'signature', text: string, provider: string, vault: Vault): Step {
  const { keyId, version, sealed } = vault.seal(placeOf({ provider, id, field }), text)
  return { name: 'put_webhook_secret', params: { id, field, key_id: keyId, version, sealed } }
}

/** Who calls at an address; `signature` is null where none is known yet, or it cannot be opened. */
export interface Called { id: string, accountKey: number, shop: string | null, signature: string | null }

/** By the secret part of the address; null where nobody is called there. How long it takes tells nothing of the others. */
export async function calledAt (provider: string, token: string, { store, vault }: Pick<Tools, 'store' | 'vault'>): Promise<Called | null> {
  if (!TOKEN.test(token)) return null
  const [row] = await store.read('webhooks_at', { hash: hashOf(token), provider })
  if (row === undefined) return null
  const id = String(row.id)
  return { id, accountKey: row.account_key as number, shop: row.shop as string | null, signature: opened(row, { provider, id, field: 'signature' }, vault) }
}

/** Takes as long whether they differ at the first character or at the last, or in length. */
export function isSigned (given: unknown, signature: string | null): boolean {
  if (typeof given !== 'string' || given === '' || signature === null) return false
  const of = (text: string): Buffer => digest('sha256', text, 'buffer')
  return timingSafeEqual(of(given), of(signature))
}

/** What is subscribed already, and what must be taken back or made. */
export interface Plan { remove: string[], missing: string[] }

/**
 * Of the subscriptions of an account those that are ours are known by their addresses; all others are left alone. Kept is the first
 * of each event that leads to the address of now; what is doubled, leads to an old one, or belongs to a registration that has ended, goes.
 */
export async function planOf (items: readonly unknown[], address: string | null, provider: string, { list, notices }: ProviderWebhooks, store: Store): Promise<Plan> {
  const ours = items.map(item => ({ id: textAt(item, list.id), event: textAt(item, list.event), url: valueAt(item, list.url), hash: hashIn(valueAt(item, list.url), provider) }))
  const hashes = [...new Set(ours.flatMap(({ hash }) => hash ?? []))]
  const known = hashes.length === 0 ? [] : await store.read('known_webhooks', { hashes: JSON.stringify(hashes) })
  const own = address === null ? null : hashIn(address, provider)
  const mine = new Set([...known.filter(row => row.ended_at !== null).map(row => String(row.hash)), ...(own === null ? [] : [own])])
  const wanted = new Set(address === null ? [] : notices.map(({ event }) => event))
  const remove: string[] = []
  for (const { id, event, url, hash } of ours) {
    if (id === null || hash === null || !mine.has(hash)) continue
    if (!(url === address && event !== null && wanted.delete(event))) remove.push(id)
  }
  return { remove, missing: [...wanted] }
}

export function textAt (value: unknown, pointer: string): string | null {
  const text = valueAt(value, pointer)
  return typeof text === 'number' || (typeof text === 'string' && text !== '') ? String(text) : null
}

/** Bound to one registration, so that none of it opens elsewhere. */
function placeOf ({ provider, id, field }: { provider: string, id: string, field: string }) { return { shop: '', provider, field: `${field} of webhooks ${id}` } }

function opened (row: Row, place: { provider: string, id: string, field: string }, vault: Vault): string | null {
  if (row.sealed === null) return null
  try {
    return vault.open(placeOf(place), { keyId: String(row.key_id), version: Number(row.version), sealed: row.sealed as Uint8Array })
  } catch {
    return null
  }
}
