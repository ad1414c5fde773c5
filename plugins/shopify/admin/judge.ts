// What an answer of the Admin API means: what to do next, and a sentence that says why.

import type { Answer } from '../../../gateway/define.ts'
import type { Cost } from './bucket.ts'
import { isObject, objectOf, objectsOf, parseJson, textOf, type Json } from '../body.ts'

/** `later`: the same again. `pause`: nothing of the shop until then. `reconnect`: the token is no good. `never`: this question is refused. `split`: fewer ids at once. */
export type Next = 'later' | 'pause' | 'reconnect' | 'never' | 'split'

export type FaultCode =
  | 'throttled' | 'unavailable' | 'no_answer' | 'busy' | 'token_refused' | 'token_ended' | 'not_connected' | 'access_denied' | 'shop_frozen' | 'shop_locked' | 'shop_gone'
  | 'shop_inactive' | 'forbidden' | 'security_rejection' | 'too_costly' | 'query_refused' | 'not_a_platform_shop'

export interface Fault { code: FaultCode, next: Next, afterMs: number, text: string }

export interface GraphQlError { code: string | null, message: string, path: ReadonlyArray<string | number> }

export type Judged =
  /** `errors`: what is missing of the data, which came all the same. */
  | { is: 'answered', data: Json, errors: GraphQlError[], cost: Cost | null }
  | { is: 'failed', fault: Fault, cost: Cost | null }

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const SOON_MS = 1000
const RETRY_AFTER_MAX_MS = 10 * MINUTE_MS
const SAID_CHARS = 200

export const fault = (code: FaultCode, next: Next, afterMs: number, text: string): Fault => ({ code, next, afterMs, text })

/** By status, where that alone says it. */
const STATUSES: Readonly<Record<number, Fault>> = {
  401: fault('token_refused', 'reconnect', 0, 'Shopify refuses the access token: it was revoked, or the app was taken out. Give the gateway a new one.'),
  402: fault('shop_frozen', 'pause', HOUR_MS, 'The shop is frozen: its owner has a bill to pay at Shopify. It is asked again in an hour.'),
  403: fault('forbidden', 'pause', HOUR_MS, 'Shopify forbids the app to ask about this shop. Look at the app\'s state in the Partner dashboard; it is asked again in an hour.'),
  404: fault('shop_gone', 'pause', 6 * HOUR_MS, 'Shopify knows no such shop, or not this API version: it may be closed. It is asked again in six hours.'),
  423: fault('shop_locked', 'pause', 15 * MINUTE_MS, 'Shopify has locked the shop: too many calls, or a doubt about the account. It is asked again in a quarter of an hour.'),
  430: fault('security_rejection', 'pause', HOUR_MS, 'Shopify takes the calls for an attack. See from which address they leave; it is asked again in an hour.')
}

export function judge (answer: Answer): Judged {
  if (answer.kind === 'not_sent') return failed(fault('no_answer', 'later', answer.afterMs ?? SOON_MS, `Shopify could not be reached: ${answer.code}.`))
  if (answer.kind === 'no_answer') return failed(fault('no_answer', 'later', SOON_MS, `Shopify gave no answer: ${answer.code}.`))
  const { status } = answer
  const read = answer.cut ? undefined : parseJson(answer.body)
  const body = objectOf(read)
  const cost = costOf(body)
  if (status === 403 && /non-expiring/i.test(answer.body)) return failed(fault('token_refused', 'reconnect', 0, 'Shopify takes no access tokens any more that never end. Give the gateway an expiring one, with its refresh token.'), cost)
  const known = STATUSES[status]
  if (known !== undefined) return failed(known, cost)
  if (status === 429) return failed(throttled(retryAfterMs(answer.headers['retry-after']), cost), cost)
  if (status >= 500) return failed(fault('unavailable', 'later', retryAfterMs(answer.headers['retry-after']) ?? SOON_MS, `Shopify answers ${status}: it has trouble of its own.`), cost)
  if (status !== 200) return failed(fault('query_refused', 'never', 0, `Shopify answers ${status}: it does not take the question.${said(answer.body)}`), cost)
  if (answer.cut) return failed(fault('query_refused', 'split', 0, 'The answer is larger than what is read.'))
  if (!isObject(read)) return failed(fault('unavailable', 'later', SOON_MS, 'Shopify answers something that is no JSON.'))
  return judgeBody(body, cost)
}

function judgeBody (body: Json, cost: Cost | null): Judged {
  const errors = errorsOf(body)
  const { data } = body
  const codes = new Set(errors.map(({ code }) => code))
  if (codes.has('THROTTLED') || errors.some(({ code, message }) => code === null && message === 'Throttled')) return failed(throttled(null, cost), cost)
  if (codes.has('SHOP_INACTIVE')) return failed(fault('shop_inactive', 'pause', HOUR_MS, 'Shopify says that the shop is not active. It is asked again in an hour.'), cost)
  if (codes.has('MAX_COST_EXCEEDED')) return failed(fault('too_costly', 'split', 0, 'The question costs more than one may.'), cost)
  const gave = isObject(data) && (errors.length === 0 || Object.values(data).some(value => value !== null))
  if (gave) return { is: 'answered', data, errors, cost }
  if (codes.has('ACCESS_DENIED')) return failed(fault('access_denied', 'never', 0, `The app may not ask this: it lacks a scope, or Shopify's approval.${said(errors.find(({ code }) => code === 'ACCESS_DENIED')?.message)}`), cost)
  if (codes.has('INTERNAL_SERVER_ERROR') || codes.has('TIMEOUT')) return failed(fault('unavailable', 'later', SOON_MS, 'Shopify has trouble of its own with the question.'), cost)
  if (errors.length > 0) return failed(fault('query_refused', 'never', 0, `Shopify does not take the question; see whether options.api_version is one it still has.${said(errors[0]?.message)}`), cost)
  return failed(fault('unavailable', 'later', SOON_MS, 'Shopify answers neither data nor errors.'), cost)
}

function failed (fault: Fault, cost: Cost | null = null): Judged { return { is: 'failed', fault, cost } }

function throttled (afterMs: number | null, cost: Cost | null): Fault {
  return fault('throttled', 'later', afterMs ?? shortfallMs(cost), 'Shopify limits how much may be asked about the shop at once.')
}

/** Until there are as many points as the question needs. */
function shortfallMs (cost: Cost | null): number {
  if (cost?.throttle == null || cost.requested === null) return SOON_MS
  const { available, maximum, perSecond } = cost.throttle
  return perSecond > 0 ? Math.max(0, Math.ceil((Math.min(cost.requested, maximum) - available) / perSecond * 1000)) : SOON_MS
}

function retryAfterMs (header: string | undefined): number | null {
  const seconds = Number(header ?? Number.NaN)
  return Number.isFinite(seconds) && seconds >= 0 ? Math.min(seconds * 1000, RETRY_AFTER_MAX_MS) : null
}

/** Some faults come as `errors: "text"`. */
function errorsOf ({ errors }: Json): GraphQlError[] {
  if (typeof errors === 'string') return [{ code: null, message: errors, path: [] }]
  return objectsOf(errors).map(({ message, path, extensions }) => ({
    code: textOf(objectOf(extensions)['code'], 100),
    message: textOf(message, SAID_CHARS) ?? '',
    path: Array.isArray(path) ? path.filter(part => typeof part === 'string' || typeof part === 'number') : []
  }))
}

function costOf ({ extensions }: Json): Cost | null {
  const cost = objectOf(extensions)['cost']
  if (!isObject(cost)) return null
  const { maximumAvailable, currentlyAvailable, restoreRate } = objectOf(cost['throttleStatus'])
  const whole = typeof maximumAvailable === 'number' && typeof currentlyAvailable === 'number' && typeof restoreRate === 'number'
  return {
    requested: numberOf(cost['requestedQueryCost']),
    throttle: whole ? { maximum: maximumAvailable, available: currentlyAvailable, perSecond: restoreRate } : null
  }
}

function numberOf (value: unknown): number | null { return typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : null }

function said (text: unknown): string {
  const words = textOf(text, SAID_CHARS)
  return words === null || words.startsWith('<') ? '' : ` It says: ${words}`
}
