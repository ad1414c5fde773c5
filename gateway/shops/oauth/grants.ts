// The tokens of connections by OAuth: renewed before they end, once whoever asks, by the gateway that works on the account alone.
// What the provider gave is on disk before it is used.

import { setTimeout as wait } from 'node:timers/promises'
import { slotOf, type Answer, type Config, type Provider, type Row, type Runtime, type Step, type Store } from '../../contract.ts'
import type { Reason } from '../../reasons.ts'
import { opened, type Grant, type OpenConnection } from '../connections.ts'
import type { Shops } from '../shops.ts'
import { withConnection } from '../state.ts'
import type { Vault } from '../vault.ts'
import type { Tokens } from './answers.ts'
import { deadlineMs, refresh, revoke, type Calling, type Granted, type TokenSender } from './client.ts'
import { ageOf, type Fresh } from './fresh.ts'
import { appOf, wayOf } from './platform-app.ts'
import { endRevocations, revocationStep } from './revocations.ts'

/** Between two tries of one connection, where the first failed. */
const AGAIN_MS = 10_000
/** Besides the call itself: reading, and what is written before the token is used. */
const BESIDES_MS = 2000
const STORE_AGAIN_MS = 1000
/** How long an account rests for which our own app is refused. */
const HOLD_MS = 5 * 60_000
const KNOWN_MAX = 20_000
const NOBODY: ReadonlyMap<number, number> = new Map()

export interface GrantsOptions {
  store: Store
  runtime: Runtime
  vault: Vault
  shops: Shops
  config (): Config
  provider (id: string): Provider | undefined
  sender (origin: string): TokenSender
  /** Something may go on this account that could not before. */
  wake (accountKey: number): void
  /** What the store says of these accounts has changed. */
  reread (accountKeys: readonly number[]): Promise<void>
  /** What held these accounts is over. */
  release (accountKeys: readonly number[]): void
  log: Record<'info' | 'warn' | 'error', (fields: object, message: string) => void>
}

/** What this gateway has seen of a connection's tokens. */
interface Seen {
  /** The newest that is known, and since when: a connection that is made anew begins at the first. */
  version: number
  obtainedAt: number
  /** Refused by the provider; not used any more. */
  refused: number
  /** Obtained because the one before was refused, and not taken by the provider yet. */
  unproven: number
  /** Monotonic: before that nothing is tried. */
  notBefore: number
  /** Why there is no token, where there is none. */
  reason: Reason
  running: Promise<boolean> | null
  /** Whose messages waited for it last. */
  shopKey: number | null
}

export class Grants implements Fresh {
  #o: GrantsOptions
  #seen = new Map<string, Seen>()
  /** By account and shop, which is by connection; monotonic. */
  #waits = new Map<number, Map<number, number>>()
  #senders = new Map<string, TokenSender>()
  #stopping = false
  #stopped = new AbortController()

  constructor (options: GrantsOptions) { this.#o = options }

  now (connection: OpenConnection, shopKey?: number): Reason | null {
    const { oauth } = connection
    if (oauth === null) return null
    if (oauth.brokenAt !== null) return 'credentials_refused'
    const seen = this.#seenOf(connection.id as string, oauth)
    const age = seen.refused === oauth.version ? 'spent' : ageOf(oauth, this.#o.runtime.now())
    if (age !== 'good') this.#start(connection, seen)
    if (age !== 'spent') return null
    if (shopKey !== undefined) this.#wait(connection, shopKey, seen)
    return seen.reason
  }

  waiting (accountKey: number): ReadonlyMap<number, number> {
    const waits = this.#waits.get(accountKey)
    if (waits === undefined) return NOBODY
    const mono = this.#o.runtime.mono()
    for (const [shopKey, until] of waits) if (until <= mono) waits.delete(shopKey)
    if (waits.size === 0) this.#waits.delete(accountKey)
    return waits
  }

  async open (connection: OpenConnection): Promise<OpenConnection | null> {
    if (this.now(connection) === null) return connection
    await this.#seen.get(connection.id as string)?.running
    const stored = await this.#stored(connection.id as string)
    if (stored === null || stored.secrets === null || stored.grant.brokenAt !== null) return null
    const fresh = { ...connection, secrets: stored.secrets, oauth: stored.grant }
    return this.now(fresh) === null ? fresh : null
  }

  answered (connection: OpenConnection, answer: Answer): boolean {
    const { id, oauth } = connection
    if (oauth === null || answer.kind !== 'answer') return false
    const seen = this.#seenOf(id as string, oauth)
    if (answer.status !== 401) {
      if (seen.unproven === oauth.version) seen.unproven = 0
      return false
    }
    if (oauth.version < seen.version) return true
    seen.refused = oauth.version
    if (seen.unproven === oauth.version) return false // this one was new, and is refused like the one before: it is not the token
    this.now(connection)
    return true
  }

  /** A job: ends grants at providers whose connections are gone. */
  async revoke (): Promise<void> {
    const { store, runtime, vault, provider, config, log } = this.#o
    await endRevocations({
      store,
      runtime,
      vault,
      log,
      revoke: async (id, token) => {
        const way = wayOf(provider(id))?.oauth2
        const app = appOf(config(), id)
        if (way === undefined || app === null) return { is: 'no_app' }
        if (way.revokeUrl === null) return { is: 'no_way' }
        const detail = await revoke(way, app, token, this.calling(id))
        return detail === null ? { is: 'done' } : { is: 'failing', detail }
      }
    })
  }

  /** How a token endpoint is called for a provider. */
  calling (provider: string): Calling {
    return { sender: origin => this.#sender(origin), signal: this.#stopped.signal, warn: message => { this.#o.log.warn({ provider }, message) } }
  }

  /** What was begun ends first: a token that was given may be the only one. */
  async close (): Promise<void> {
    this.#stopping = true
    const cut = setTimeout(() => { this.#stopped.abort() }, deadlineMs(this.#o.config()) + BESIDES_MS)
    await Promise.all([...this.#seen.values()].map(({ running }) => running))
    clearTimeout(cut)
    this.#stopped.abort()
    await Promise.all([...this.#senders.values()].map(sender => sender.close()))
  }

  #sender (origin: string): TokenSender {
    const sender = this.#senders.get(origin) ?? this.#o.sender(origin)
    this.#senders.set(origin, sender)
    return sender
  }

  #seenOf (id: string, { version, obtainedAt }: Grant): Seen {
    const known = this.#seen.get(id)
    const isAnew = known !== undefined && version < known.version && obtainedAt > known.obtainedAt
    const anew = { version, obtainedAt, refused: 0, unproven: 0, notBefore: 0, reason: 'deferred' } as const
    const seen: Seen = known === undefined ? { ...anew, running: null, shopKey: null } : isAnew ? Object.assign(known, anew) : known // what is running ends in the same one
    if (version >= seen.version) Object.assign(seen, { version, obtainedAt })
    if (!this.#seen.has(id) && this.#seen.size >= KNOWN_MAX) this.#forgetOne()
    this.#seen.set(id, seen)
    return seen
  }

  #forgetOne (): void {
    for (const [id, { running }] of this.#seen) {
      if (running !== null) continue
      this.#seen.delete(id)
      return
    }
  }

  #wait ({ accountKey }: OpenConnection, shopKey: number, seen: Seen): void {
    const until = seen.running === null ? seen.notBefore : this.#o.runtime.mono() + deadlineMs(this.#o.config()) + BESIDES_MS
    seen.shopKey = shopKey
    this.#waits.set(accountKey, (this.#waits.get(accountKey) ?? new Map<number, number>()).set(shopKey, until))
  }

  /** One at a time for a connection, and after a failure none for a while. */
  #start (connection: OpenConnection, seen: Seen): void {
    const { runtime, wake } = this.#o
    if (seen.running !== null || runtime.mono() < seen.notBefore || this.#stopping) return
    seen.running = this.#renew(connection, seen).catch((error: unknown) => {
      this.#o.log.error({ error, provider: connection.provider }, 'a token could not be renewed')
      return false
    }).then(renewed => {
      seen.running = null
      if (renewed) seen.reason = 'deferred'
      else seen.notBefore = runtime.mono() + AGAIN_MS
      const waits = this.#waits.get(connection.accountKey)
      if (seen.shopKey !== null && renewed) waits?.delete(seen.shopKey)
      else if (seen.shopKey !== null && waits?.has(seen.shopKey)) waits.set(seen.shopKey, seen.notBefore)
      wake(connection.accountKey)
      return renewed
    })
  }

  /** True where a newer token is there, or nothing is to be waited for. */
  async #renew (connection: OpenConnection, seen: Seen): Promise<boolean> {
    const { store, shops, provider, config } = this.#o
    if (store.slots.epoch(slotOf(connection.accountKey), deadlineMs(config())) === null) return false // another gateway's to do
    const stored = await this.#stored(connection.id as string)
    if (stored === null) return true
    const { shop, grant, secrets } = stored
    if (grant.version !== connection.oauth?.version || grant.brokenAt !== null) { // somebody else was first
      shops.forget(shop)
      return true
    }
    const way = wayOf(provider(connection.provider))?.oauth2
    const app = appOf(config(), connection.provider)
    const token = secrets?.['refresh_token']
    if (way === undefined || app === null || token === undefined) return await this.#failed(connection, seen, { is: 'ours', detail: 'there is no app for it in the config' })
    const answer = await refresh(way, app, token, this.calling(connection.provider))
    if (answer.is === 'tokens') return await this.#keep(stored, answer.tokens, seen, connection)
    return answer.is === 'dead' ? await this.#broken(stored, answer.detail) : await this.#failed(connection, seen, answer)
  }

  /** On disk first. The store is asked until it answers: no other copy of these tokens exists. */
  async #keep (stored: Stored, tokens: Tokens, seen: Seen, connection: OpenConnection): Promise<boolean> {
    const { store, runtime, vault, shops, release } = this.#o
    const { id, shop, provider, grant: before } = stored
    const now = runtime.now()
    const grant: Grant = { version: before.version + 1, obtainedAt: now, expiresAt: now + tokens.lifeMs, scopes: tokens.scopes ?? before.scopes, brokenAt: null }
    const oauth = JSON.stringify(grant)
    const secret = (field: string, text: string): Step => {
      const { keyId, version, sealed } = vault.seal({ shop, provider, field }, text)
      return { name: 'renew_secret', params: { id, oauth, field, key_id: keyId, version, sealed } }
    }
    const results = await this.#insist([
      { name: 'renew_grant', params: { id, oauth, oauth_before: stored.oauth } },
      secret('access_token', tokens.accessToken),
      ...(tokens.refreshToken === null ? [] : [secret('refresh_token', tokens.refreshToken)]),
      { name: 'touch_shop', params: { id: shop, version: null } }
    ], async () => (await this.#stored(id))?.oauth === oauth)
    shops.forget(shop)
    store.tell({ shop })
    if (!results) {
      await this.#unwanted(stored, tokens)
      return true
    }
    seen.unproven = seen.refused === before.version ? grant.version : 0
    seen.version = grant.version
    if (seen.reason === 'platform_account_refused') release([connection.accountKey])
    return true
  }

  /** The connection ended or was made anew meanwhile: nobody is to have what was just given. */
  async #unwanted ({ shop, provider, accountId }: Stored, { refreshToken }: Tokens): Promise<void> {
    if (refreshToken !== null) await this.#insist([revocationStep({ shop, provider, accountId, refreshToken }, this.#o)], async () => true)
  }

  /** The provider takes the refresh token no more: the merchant must connect again, and what the shop sends there waits for that. */
  async #broken ({ id, shop, provider, grant, oauth: before }: Stored, detail: string): Promise<boolean> {
    const { runtime, shops, log } = this.#o
    await shops.alter(shop, async state => {
      const connection = state.connections.get(provider)
      if (connection?.id !== id || connection.oauth?.version !== grant.version) return null // a newer one came in between
      const oauth = { ...grant, brokenAt: runtime.now() }
      return {
        steps: [
          { name: 'renew_grant', params: { id, oauth: JSON.stringify(oauth), oauth_before: before } },
          { name: 'audit', params: { at: runtime.now(), actor: 'provider', action: 'connection.broken', shop, subject: provider } }
        ],
        after: withConnection(state, provider, { ...connection, oauth })
      }
    })
    log.warn({ shop, provider, detail }, 'a grant has ended; the merchant must connect again')
    return true
  }

  /** The token there is goes on to be used until it ends; then what is sent with it waits. */
  async #failed (connection: OpenConnection, seen: Seen, { is, detail }: Exclude<Granted, { is: 'tokens' }>): Promise<boolean> {
    const { store, runtime, reread, log } = this.#o
    const { provider, accountKey, oauth } = connection
    seen.reason = is === 'ours' ? 'platform_account_refused' : 'provider_failing'
    log[is === 'ours' ? 'error' : 'warn']({ provider, detail }, is === 'ours' ? 'the provider refuses the platform\'s app: correct client_id and client_secret' : 'the provider gave no new token; it is tried again')
    const spent = oauth === null || seen.refused === oauth.version || ageOf(oauth, runtime.now()) === 'spent'
    if (is === 'ours' && spent) {
      await store.commit([{ name: 'hold_account', params: { account_key: accountKey, owner: store.owner, held_reason: 'platform_account_refused', held_until: runtime.now() + HOLD_MS } }])
      await reread([accountKey])
    }
    return false
  }

  /** True where it was kept; false where somebody else had written another grant. `isKept` tells after a commit whose answer was lost. */
  async #insist (steps: Step[], isKept: () => Promise<boolean>): Promise<boolean> {
    for (let tries = 1; ; tries++) {
      try {
        const [first] = await this.#o.store.commit(steps)
        return first?.changes === 1 || (tries > 1 && await isKept())
      } catch (error) {
        if (this.#stopped.signal.aborted) throw error
        this.#o.log.error({ error }, 'a new token could not be kept; it is tried again')
        await wait(STORE_AGAIN_MS)
      }
    }
  }

  async #stored (id: string): Promise<Stored | null> {
    const [row] = await this.#o.store.read('grant', { id })
    return row === undefined || row.oauth === null ? null : await storedOf(row, this.#o)
  }
}

/** A connection's tokens as they are in the store. */
interface Stored { id: string, shop: string, provider: string, accountId: string, oauth: string, grant: Grant, secrets: Record<string, string> | null }

async function storedOf (row: Row, { store, vault }: Pick<GrantsOptions, 'store' | 'vault'>): Promise<Stored> {
  const [shop, provider, oauth] = [String(row.shop), String(row.provider), String(row.oauth)]
  const rows = await store.read('secrets', { connection_key: row.connection_key as number })
  return { id: String(row.id), shop, provider, accountId: String(row.account_id), oauth, grant: JSON.parse(oauth) as Grant, secrets: opened(rows, { id: shop }, provider, vault) }
}
