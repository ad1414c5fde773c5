// Accounts with work, opened when something is due and closed when idle and nothing counts any more: what they need stays
// in the store, by a clock that may be set meanwhile.

import type { LimitGroup, Provider, Runtime, Store } from '../contract.ts'
import { CLOCKS_APART_MS, type Limited, OpenAccount } from './account.ts'
import type { Gate } from './gate.ts'

const OPEN_AT_MOST = 1000
const IDLE_MS = 10_000

export class Accounts {
  #store: Store
  #runtime: Runtime
  #open = new Map<number, OpenAccount>()
  #opening = new Map<number, Promise<OpenAccount | null>>()
  /** Of accounts that are closed and still limited. */
  #limited = new Map<number, Limited>()

  constructor (store: Store, runtime: Runtime) {
    this.#store = store
    this.#runtime = runtime
  }

  get (key: number): OpenAccount | undefined { return this.#open.get(key) }

  values (): Iterable<OpenAccount> { return this.#open.values() }

  /** Whether another one may be opened; the one that has rested longest makes way. With none at rest the poll asks again. */
  makeRoom (): boolean {
    if (this.#open.size + this.#opening.size < OPEN_AT_MOST) return true
    let longest: OpenAccount | null = null
    for (const account of this.#open.values()) if (account.quiet() && (longest === null || account.idleSince < longest.idleSince)) longest = account
    if (longest === null) return false
    this.close(longest)
    return true
  }

  /** The account with its lanes; null where its provider is not loaded. */
  open (key: number, providerOf: (id: string) => Provider | undefined): Promise<OpenAccount | null> {
    const open = this.#open.get(key)
    if (open) return Promise.resolve(open)
    const opening = this.#opening.get(key) ?? this.#load(key, providerOf).finally(() => { this.#opening.delete(key) })
    this.#opening.set(key, opening)
    return opening
  }

  /** The gate of a lane, opened with what earlier calls left in its windows. */
  async lane (account: OpenAccount, provider: Provider, name: string): Promise<Gate> {
    const open = account.gate(name)
    if (open) return open
    const group = provider.groups[name]
    if (!group) throw new Error(`${provider.id} has no limit group "${name}"`)
    const settledAt = await historyOf(this.#store, account.key, group, this.#runtime.now())
    return account.gate(name) ?? account.open(group, settledAt, this.#runtime.now(), this.#runtime.mono())
  }

  async lanes (account: OpenAccount, provider: Provider): Promise<void> {
    for (const { group } of Object.values(provider.events)) await this.lane(account, provider, group)
  }

  /** Other windows: the history stays, and what a longer window counts is read again. */
  async resize (account: OpenAccount, provider: Provider): Promise<void> {
    for (const group of Object.values(provider.groups)) {
      if (account.gate(group.name)) account.resize(group, await historyOf(this.#store, account.key, group, this.#runtime.now()), this.#runtime.now(), this.#runtime.mono())
    }
  }

  closeIdle (): void {
    const now = this.#runtime.mono()
    for (const account of this.#open.values()) {
      if (!account.quiet() || now - account.idleSince < IDLE_MS || account.waits || account.counts(now)) continue
      this.close(account)
    }
  }

  /** What it counted is in the store. */
  close (account: OpenAccount): void {
    const limited = account.close()
    if (limited) this.#limited.set(account.key, limited)
    this.#open.delete(account.key)
  }

  async #load (key: number, providerOf: (id: string) => Provider | undefined): Promise<OpenAccount | null> {
    const [row] = await this.#store.read('account', { account_key: key })
    const provider = row && providerOf(String(row.provider))
    if (!row || !provider) return null
    const account = new OpenAccount(row, { now: this.#runtime.now(), mono: this.#runtime.mono() }, this.#limited.get(key))
    await this.lanes(account, provider)
    this.#limited.delete(key)
    this.#open.set(key, account)
    return account
  }
}

/** When the calls of a lane that its windows still count were settled, oldest first. Epoch. */
export async function historyOf (store: Store, accountKey: number, group: LimitGroup, now: number): Promise<number[]> {
  const longestMs = Math.max(0, ...group.windows.map(window => window.perMs))
  const rows = await store.read('lane_history', { account_key: accountKey, lane: group.name, since: now - longestMs - CLOCKS_APART_MS })
  return rows.map(row => row.settled_at as number)
}
