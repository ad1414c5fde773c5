// What a set-up step asks the provider, and what it makes of the answer.

import type { Answer, Outcome, PreparedRequest, Provider, SetupCheck, SetupList } from '../../contract.ts'
import { valueAt } from '../../json-pointer.ts'
import type { Reason } from '../../reasons.ts'
import type { OpenConnection } from '../connections.ts'
import { wordsFor } from './words.ts'

/** A list longer than this is not read to its end. */
const PAGES_MAX = 50
/** All its pages are in memory together. */
const LIST_MAX_CHARS = 4 * 1024 * 1024
/** The smallest of them takes many times its characters there. */
const ITEMS_MAX = 20_000
/** What is read of an answer to a question, in words. */
const MOST_READ = '2 MiB'

export interface Asking {
  /** `proven` false: credentials that are tried, and hold nothing when refused. */
  ask (connection: OpenConnection, request: string | PreparedRequest, scope: object, proven?: boolean): Promise<Answer>
  /** What an answer means, as it would for a delivery. */
  judge (answer: Answer, provider: Provider, settings: Record<string, unknown>): Outcome
  /** Without the credentials, where a provider repeats them. */
  scrub (text: string | null, connection: OpenConnection): string | null
}

/** `later`: nothing is known, so it is worth another try. `body`: of an answer that says whose the credentials are, and it is not who may be. */
export type Told =
  | { is: 'ok', status: number, body: unknown, length: number }
  | { is: 'refused', reason: Reason, detail: string | null, body?: unknown }
  | { is: 'later', reason: Reason, detail: string | null, afterMs: number }

export interface Subject { provider: Provider, connection: OpenConnection }

/** One of the manifest's requests. */
export async function asked (request: string, map: Record<string, unknown>, { provider, connection }: Subject, asking: Asking): Promise<Told> {
  const { accountId, settings } = connection
  const answer = await asking.ask(connection, request, { connection: { account_id: accountId, settings }, map })
  const outcome = asking.judge(answer, provider, settings)
  if (outcome.is === 'delivered' && answer.kind === 'answer' && answer.cut) return tooLarge(`the answer was larger than ${MOST_READ}`)
  return told(answer, outcome)
}

export function told (answer: Answer, outcome: Outcome): Told {
  switch (outcome.is) {
    case 'delivered': return answer.kind === 'answer' ? { is: 'ok', status: answer.status, body: parsed(answer.body), length: answer.body.length } : { is: 'later', reason: 'no_answer', detail: null, afterMs: 0 }
    case 'hold': return { is: 'refused', reason: outcome.reason, detail: outcome.detail ?? null }
    case 'rejected': return { is: 'refused', reason: outcome.reason, detail: outcome.detail ?? null }
    case 'unknown': return { is: 'later', reason: outcome.reason, detail: outcome.detail ?? null, afterMs: 0 }
    case 'retry': return { is: 'later', reason: outcome.reason, detail: outcome.detail ?? null, afterMs: outcome.afterMs ?? 0 }
  }
}

/** A check's request, and whether its answer is what the manifest expects. */
export async function checked (check: SetupCheck, subject: Subject, asking: Asking): Promise<Told> {
  const answer = await asked(check.request, {}, subject, asking)
  if (answer.is !== 'ok') return answer
  if (answer.status !== check.expect.status) return { is: 'later', reason: 'answer_unreadable', detail: `HTTP ${answer.status}`, afterMs: 0 }
  if (check.expect.body_at === undefined) return answer
  const { pointer, equals } = check.expect.body_at
  const got = valueAt(answer.body, pointer)
  return got === equals ? answer : { is: 'refused', reason: 'unexpected_account', detail: wordsFor(subject.connection, asking).detail(`${pointer} is ${said(got, subject, asking)}`), body: answer.body }
}

/** A list or an object may be as large as the answer, and as deep. */
function said (got: unknown, { connection }: Subject, asking: Asking): string {
  if (typeof got === 'object' && got !== null) return Array.isArray(got) ? 'a list' : 'an object'
  return JSON.stringify(typeof got === 'string' ? asking.scrub(got, connection) : got)
}

/** All items of a list, its pages one after the other. A list that is not there is empty. */
export async function itemsOf (list: SetupList, map: Record<string, unknown>, subject: Subject, asking: Asking): Promise<Exclude<Told, { is: 'ok' }> | { is: 'ok', items: unknown[] }> {
  const items: unknown[] = []
  let cursor = ''
  let length = 0
  for (let page = 0; page < PAGES_MAX; page++) {
    const answer = await asked(list.request, { ...map, page_cursor: cursor }, subject, asking)
    if (answer.is !== 'ok') return answer
    length += answer.length
    if (length > LIST_MAX_CHARS) return tooLarge('the list was larger than 4 MiB')
    const found = valueAt(answer.body, list.items)
    if (Array.isArray(found) && items.length + found.length > ITEMS_MAX) return tooLarge(`the list had more than ${ITEMS_MAX} items`)
    if (Array.isArray(found)) items.push(...found as unknown[])
    else if (answer.body === null || typeof answer.body !== 'object' || Object.keys(answer.body).length > 0) return { is: 'later', reason: 'answer_unreadable', detail: `no list at ${list.items}`, afterMs: 0 }
    const next = list.next === undefined ? null : parameterOf(valueAt(answer.body, list.next.at), list.next.parameter)
    if (next === null || next === cursor) break
    cursor = next
  }
  return { is: 'ok', items }
}

function tooLarge (detail: string): Extract<Told, { is: 'later' }> { return { is: 'later', reason: 'answer_too_large', detail, afterMs: 0 } }

/** A link to the next page counts by its parameter alone: where it leads otherwise is not followed. */
function parameterOf (link: unknown, parameter: string): string | null {
  if (typeof link !== 'string' || link === '') return null
  return new URLSearchParams(link.slice(link.indexOf('?') + 1)).get(parameter)
}

/** What a merchant reads. All else is compared, sent again or opened, and means nothing any more once it is changed. */
const WORDS: ReadonlySet<string> = new Set(['detail', 'text', 'otherwise', 'why', 'name', 'label', 'title', 'near', 'warnings'])

/** A provider that repeats our credentials in its words must not bring them into the store: words without them, wherever they are in it. */
export function scrubbed<T> (learnt: T, connection: OpenConnection, asking: Pick<Asking, 'scrub'>, isWord = false): T {
  if (typeof learnt === 'string') return isWord ? asking.scrub(learnt, connection) as T : learnt
  if (Array.isArray(learnt)) return learnt.map(one => scrubbed(one as unknown, connection, asking, isWord)) as T
  if (learnt === null || typeof learnt !== 'object') return learnt
  return Object.fromEntries(Object.entries(learnt).map(([name, one]) => [name, scrubbed(one as unknown, connection, asking, WORDS.has(name))])) as T
}

function parsed (body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    return undefined
  }
}
