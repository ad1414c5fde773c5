// Asks a provider about the people of an account: those that deliveries wait for, and those that it told something of.
// One job for each account, a few people at a time, so that however many wait neither other jobs nor the account's messages do.

import type { Config, Provider, Row, Runtime, Step, Store } from '../contract.ts'
import { valueAt } from '../json-pointer.ts'
import { asked, type Asked, type Way } from './asking.ts'
import { e164, phoneIn, type Sealing } from './notices.ts'
import { isStale, nextLookAt, REFUSED_MS, standingOf, type Standing, type StandingName } from './standing.ts'

const AT_ONCE = 4
/** Then others have their turn. */
const ROUND_MS = 5000
/** The account had no room, or another instance has it now. */
const ROOM_AGAIN_MS = 1000
/** A notice that nobody can be asked about is taken at its word after so many tries. */
const NOTICE_TRIES = 12
/** A list may know later than whoever tells of it: so often it is asked again where it says the opposite. */
const CONTRADICTED_TRIES = 3
const CONTRADICTED_MS = 60_000
const CONNECTIONS = 5
const WAITING = 500

export interface LookUpOptions {
  store: Store
  runtime: Runtime
  vault: Pick<Sealing, 'open'>
  config (): Pick<Config, 'eventTypes'>
  provider (id: string): Provider | undefined
  /** How a shop reaches the provider; null where it does not. */
  way (shopKey: number, provider: Provider): Promise<Way | null>
  /** What stands for a phone number. */
  person (phone: string): Uint8Array
  /** The wait after so many answers in a row that said nothing. */
  waitMs (failures: number): number
  wake (accountKey: number): void
  /** What else follows where a person is known to be on the list, or to want nothing. */
  said? (standing: 'subscribed' | 'opted_out', at: { accountKey: number, person: Uint8Array, at: number }): Step[]
}

/** When it runs again; null until something is wanted. `cursor` counts answers in a row that said nothing. */
export type Again = { dueAt: number, cursor: string | null } | null

interface Subject { accountKey: number, provider: Provider }

/** A round of questions. May be run again at any point. */
export async function lookUp (accountKey: number, cursor: string | null, options: LookUpOptions): Promise<Again> {
  const { store, runtime } = options
  const [account] = await store.read('account', { account_key: accountKey })
  const provider = account && options.provider(String(account.provider))
  if (!provider?.subscribers) return null
  const subject = { accountKey, provider }
  const failures = Number(cursor ?? 0)
  const until = runtime.mono() + ROUND_MS
  do {
    const due = { account_key: accountKey, now: runtime.now(), limit: AT_ONCE }
    const [notices, people] = await Promise.all([store.read('notices_due', due), store.read('subscribers_due', due)])
    if (notices.length + people.length === 0) return await next(accountKey, store)
    const waits = await Promise.all([...notices.map(row => ofNotice(row, subject, failures, options)), ...people.map(row => ofPerson(row, subject, failures, options))])
    options.wake(accountKey)
    const later = waits.filter(wait => wait !== null)
    const failed = later.filter(({ ours }) => !ours)
    if (later.length > 0) return { dueAt: runtime.now() + Math.max(...later.map(({ afterMs }) => afterMs)), cursor: failed.length > 0 ? String(failures + 1) : cursor }
  } while (runtime.mono() < until)
  return { dueAt: runtime.now(), cursor: null }
}

async function next (accountKey: number, store: Store): Promise<Again> {
  const [row] = await store.read('subscribers_next', { account_key: accountKey })
  return row?.due_at == null ? null : { dueAt: row.due_at as number, cursor: null }
}

/** What a question that said nothing means for the next ones; null where it said something. */
type Wait = { afterMs: number, ours: boolean } | null

function waitOf ({ afterMs, ours }: Asked & { is: 'later' }, failures: number, { waitMs }: LookUpOptions): NonNullable<Wait> {
  return { afterMs: ours ? Math.max(afterMs, ROOM_AGAIN_MS) : Math.max(afterMs, waitMs(failures + 1)), ours }
}

/** A person that somebody wants to know of. Who is known well enough by now is not asked about; whoever waits goes on all the same. */
async function ofPerson (row: Row, { accountKey, provider }: Subject, failures: number, options: LookUpOptions): Promise<Wait> {
  const { store, runtime } = options
  const at = { account_key: accountKey, person: row.person as Uint8Array }
  const known = standingOf(row) as Standing
  const defer = (dueAt: number | null): Step => ({ name: 'defer_subscriber', params: { ...at, wants: known.wants, due_at: dueAt } })
  if (row.doubt !== 1 && !isWanted(known, runtime.now())) {
    const { steps, more } = await wakeSteps(at, known.standing, options)
    await store.commit([...steps, defer(more ? runtime.now() : nextOf(known, steps.length > 0))])
    return null
  }
  const phone = phoneOf(row, options)
  const way = phone === null ? null : await options.way(row.shop_key as number, provider)
  if (phone === null || way?.accountKey !== accountKey) {
    await store.commit([defer(null)]) // its event is gone, or its shop; whoever waits still comes again by itself
    return null
  }
  const answer = await asked((provider.subscribers as NonNullable<Provider['subscribers']>).find, { phone, ref: null }, way)
  if (answer.is === 'later') {
    const wait = waitOf(answer, failures, options)
    // Others are asked about first. What waits for a held account is due, so that it goes when that is put right, or goes elsewhere.
    await store.commit([defer(runtime.now() + wait.afterMs), ...(answer.held ? (await wakeSteps(at, 'pending', options)).steps : [])])
    return wait
  }
  await learn(at, answer, known, options)
  return null
}

function isWanted (known: Standing, now: number): boolean {
  return known.standing === 'pending' ? nextLookAt(known) <= now : isStale(known, now)
}

/** Who is pending is looked at again while somebody waits. */
function nextOf (known: Standing, isAwaited: boolean): number | null { return known.standing === 'pending' && isAwaited ? nextLookAt(known) : null }

type At = { account_key: number, person: Uint8Array }

/** What the provider says is kept, and whoever waited for it goes on, in one unit. */
async function learn (at: At, answer: Exclude<Asked, { is: 'later' }>, known: Standing | null, options: LookUpOptions, more: Step[] = []): Promise<void> {
  const { store, runtime } = options
  const now = runtime.now()
  const said: StandingName = answer.is === 'found' ? answer.person.state : 'not_found'
  const standing = said === 'not_found' && known?.standing === 'pending' ? 'pending' : said
  const woken = await wakeSteps(at, standing, options)
  const awaited = standing === 'pending' && (woken.steps.length > 0 || woken.waits)
  const dueAt = woken.more ? now : awaited && known !== null ? nextLookAt({ ...known, checkedAt: now }) : null
  await store.commit([
    { name: 'learn_subscriber', params: { ...at, standing: said, ref: answer.is === 'found' ? answer.person.ref : null, wants: known?.wants ?? 0, due_at: dueAt, now, before: now - REFUSED_MS } },
    ...woken.steps,
    ...more
  ])
}

/** Deliveries that waited to hear this; `waits`: others go on waiting, `more`: not all of them were looked at. */
async function wakeSteps (at: At, standing: StandingName, { store, runtime }: LookUpOptions): Promise<{ steps: Step[], waits: boolean, more: boolean }> {
  const now = runtime.now()
  const rows = await store.read('waiting_for_person', { ...at, now, limit: WAITING })
  const woken = rows.filter(({ reason }) => standing !== 'pending' || reason === 'looking_up')
  return {
    steps: woken.flatMap(row => [
      { name: 'hasten_delivery', params: { delivery_key: row.delivery_key as number, now } },
      { name: 'queue_due', params: { queue_key: row.queue_key as number, priority: row.priority as number, due_at: now, now } }
    ]),
    waits: woken.length < rows.length,
    more: rows.length === WAITING && woken.length > 0
  }
}

/** Something the provider told, or somebody asked for. */
async function ofNotice (row: Row, { accountKey, provider }: Subject, failures: number, options: LookUpOptions): Promise<Wait> {
  const { store, runtime } = options
  const { find, findByRef } = provider.subscribers as NonNullable<Provider['subscribers']>
  const at = { id: row.id as string, at: row.at as number }
  const drop: Step = { name: 'drop_notice', params: at }
  const phone = phoneIn(row, options.vault)
  const ref = row.ref as string | null
  const way = await anyWay(accountKey, provider, options)
  let answer: Asked = { is: 'nobody' }
  if (way !== null && ref !== null && findByRef !== null) answer = await asked(findByRef, { phone: null, ref }, way)
  if (way !== null && answer.is === 'nobody' && phone !== null) answer = await asked(find, { phone, ref: null }, way)
  const givenUp = (row.tries as number) + 1 >= NOTICE_TRIES
  if (answer.is === 'later' && !givenUp) {
    const wait = waitOf(answer, failures, options)
    await store.commit([{ name: 'defer_notice', params: { ...at, due_at: runtime.now() + wait.afterMs, paid: wait.ours ? 0 : 1 } }])
    return wait
  }
  if (answer.is === 'found' && row.standing !== null && (row.standing === 'opted_out') !== (answer.person.state === 'opted_out') && (row.tries as number) + 1 < CONTRADICTED_TRIES) {
    await store.commit([{ name: 'defer_notice', params: { ...at, due_at: runtime.now() + CONTRADICTED_MS, paid: 1 } }])
    return null
  }
  const number = answer.is === 'found' ? e164(answer.person.digits) : phone
  if (number === null) {
    await store.commit([drop]) // nobody can be told by it
    return null
  }
  const person = { account_key: accountKey, person: options.person(number) }
  const known = standingOf((await store.read('subscriber', person))[0])
  if (answer.is === 'found' || (answer.is === 'nobody' && row.standing === null)) await learn(person, answer, known, options, [drop, ...saidBy(row, answer.is === 'found' ? answer.person.state : null, { accountKey, person: person.person, at: at.at }, options)])
  else if (row.standing === null) await store.commit([drop])
  else await believe(person, row.standing as StandingName, at.at, options, [drop, ...saidBy(row, row.standing as StandingName, { accountKey, person: person.person, at: at.at }, options)])
  return null
}

/** That somebody wants nothing counts where the provider told it by itself; that somebody is on the list takes back what it told before. */
function saidBy (row: Row, standing: StandingName | null, at: { accountKey: number, person: Uint8Array, at: number }, { said }: LookUpOptions): Step[] {
  if (standing === 'subscribed') return said?.('subscribed', at) ?? []
  return standing === 'opted_out' && row.standing === 'opted_out' ? said?.('opted_out', at) ?? [] : []
}

/** Nobody can be asked, or the list shows nobody: the word itself is what is known. */
async function believe (at: At, standing: StandingName, toldAt: number, options: LookUpOptions, more: Step[]): Promise<void> {
  const { steps } = await wakeSteps(at, standing, options)
  await options.store.commit([{ name: 'believe_subscriber', params: { ...at, standing, at: toldAt, now: options.runtime.now() } }, ...steps, ...more])
}

/** By any shop that is connected to the account. */
async function anyWay (accountKey: number, provider: Provider, { store, way }: LookUpOptions): Promise<Way | null> {
  for (const row of await store.read('connections_of_account', { account_key: accountKey, limit: CONNECTIONS })) {
    const found = await way(row.shop_key as number, provider)
    if (found?.accountKey === accountKey) return found
  }
  return null
}

function phoneOf ({ type, data }: Row, { config }: LookUpOptions): string | null {
  const at = config().eventTypes[String(type)]?.person ?? null
  const phone = data === null || at === null ? null : valueAt(JSON.parse(data as string), at)
  return typeof phone === 'string' ? phone : null
}
