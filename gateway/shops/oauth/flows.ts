// Merchants on their way: a ticket sends a browser off, the state that follows from it comes back. Each is made here, of 256 bits,
// kept as a hash, good for ten minutes and once. A row says for whom; the browser knows nothing of it.

import { hash } from 'node:crypto'
import type { Runtime, Step, Store } from '../../contract.ts'
import type { Vault } from '../vault.ts'

export const FLOW_MS = 10 * 60_000
/** A row is of no use then, but to tell what happened. */
const KEPT_MS = 24 * 3_600_000
/** Instances tell the time a little off each other. */
const APART_MS = 5000
const FORM = /^[A-Za-z0-9_-]{43}$/

export interface FlowOptions { store: Store, vault: Vault, runtime: Runtime }

/** Whose connection it is about, who asked for it, and where the browser goes in the end. */
export interface Flow { shopKey: number, step: string, actor: string, returnUrl: string | null }

/** The steps that make a ticket, and the ticket. */
export function ticketSteps (flow: Flow & { provider: string }, { vault, runtime, store }: FlowOptions): { ticket: string, expiresAt: number, commit (more: Step[]): Promise<unknown> } {
  const ticket = vault.token()
  const now = runtime.now()
  const { shopKey, provider, step, actor, returnUrl } = flow
  return {
    ticket,
    expiresAt: now + FLOW_MS,
    commit: more => store.commit([
      { name: 'forget_flows', params: { before: now - KEPT_MS } },
      { name: 'put_flow', params: { hash: hashed(ticket), shop_key: shopKey, provider, step, actor, return_url: returnUrl, now } },
      ...more
    ])
  }
}

/** For whom a ticket is, which is as good afterwards; null where it is not good. */
export async function look (provider: string, ticket: unknown, { store, runtime }: FlowOptions): Promise<Pick<Flow, 'shopKey' | 'returnUrl'> | null> {
  if (!isToken(ticket)) return null
  const [row] = await store.read('ticket', { hash: hashed(ticket), provider, ...within(runtime.now()) })
  return row === undefined ? null : { shopKey: Number(row.shop_key), returnUrl: row.return_url as string | null }
}

/** The state for a ticket; null where the ticket is not good. */
export async function begin (provider: string, ticket: unknown, { store, vault, runtime }: FlowOptions): Promise<string | null> {
  if (!isToken(ticket)) return null
  const state = vault.token()
  const params = { hash: hashed(ticket), state_hash: hashed(state), now: runtime.now() }
  const [used] = await store.commit([
    { name: 'use_ticket', params: { ...params, provider, ...within(runtime.now()) } },
    { name: 'put_state', params }
  ])
  return used?.changes === 1 ? state : null
}

/** The way that ends with this state; null where it is not good. */
export async function finish (provider: string, state: unknown, { store, runtime }: FlowOptions): Promise<Flow | null> {
  if (!isToken(state)) return null
  const now = runtime.now()
  const [used] = await store.commit([{ name: 'use_state', params: { hash: hashed(state), provider, now, ...within(now) } }])
  const row = used?.rows[0]
  return row === undefined ? null : { shopKey: Number(row.shop_key), step: String(row.step), actor: String(row.actor), returnUrl: row.return_url as string | null }
}

/** One that was made later than now was made before the clock was set back, and nobody knows when. */
function within (now: number): { since: number, until: number } { return { since: now - FLOW_MS, until: now + APART_MS } }

function isToken (given: unknown): given is string { return typeof given === 'string' && FORM.test(given) }

function hashed (token: string): string { return hash('sha256', token, 'base64url') }
