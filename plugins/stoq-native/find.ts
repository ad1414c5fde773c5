// Twilio keeps no client reference and drops no second message, so one whose answer was lost is looked for in the list.

import type { Answer, Ask, FoundAnswer, LostRequest, MappingScope, PreparedRequest, Reconciled } from '../../gateway/define.ts'

/** What is left between two clocks once they were compared, whole seconds in one of them, and what is acted on after we gave it up. */
export const SKEW_MS = 30_000
/** Our text, made so near to that time, may be ours: a clock may have been put right since. */
export const NEAR_MS = 3_600_000
/** The list is newest first, by when a message was made or sent: those differ by no more than this. */
const ORDER_MS = 24 * 3_600_000
const PAGES_MAX = 10
/** What Twilio puts in front of a text as long as the account is on trial. */
const TRIAL = 'Sent from your Twilio trial account - '

interface Listed { body: string | null, to: string | null, direction: string, date_created: string }
interface Place { page: string, page_token: string }
interface Page { messages: Listed[], next: Place | null }
/** By Twilio's clock: within `from` and `to` it was on its way, within `nearFrom` and `nearTo` it may have been. */
interface Times { from: number, to: number, nearFrom: number, nearTo: number }

/**
 * Every message that may be the one: to the same number, with the same text, made when it was on its way; oldest first.
 * Several where the same text went to the same number more than once in that time: the core knows which are another's.
 * One whose text was erased meanwhile, or that was made a little before or after that time, is doubtful.
 */
export async function find (_scope: MappingScope, request: PreparedRequest, sent: LostRequest, ask: Ask): Promise<Reconciled> {
  const form = new URLSearchParams(request.body ?? '')
  const to = form.get('To')
  const text = form.get('Body')
  if (to === null || text === null) return { is: 'unclear', detail: 'the request that was sent is not kept any more' }
  const listed: Listed[] = []
  let times: Times | null = null
  let place: Place | { page: null, page_token: null } = { page: null, page_token: null }
  for (let pages = 0; pages < PAGES_MAX; pages++) {
    const answer = await ask('find_messages', { to, ...place })
    const page = pageOf(answer)
    if ('unclear' in page) return { is: 'unclear', detail: page.unclear }
    const { nearFrom } = times ??= timesOf(sent, aheadMs(answer, sent.now()))
    listed.push(...page.messages)
    const past = page.messages.every(({ date_created: made }) => Date.parse(made) < nearFrom - ORDER_MS)
    if (page.next === null || past) return told(listed.filter(message => message.to === to && message.direction === 'outbound-api'), text, times)
    place = page.next
  }
  return { is: 'unclear', detail: `the list of messages to this number goes on after ${PAGES_MAX} pages` }
}

/** How far Twilio's clock is ahead of ours; 0 where its answer does not say what time it is there. */
function aheadMs (answer: Answer, now: number): number {
  const date = answer.kind === 'answer' ? Date.parse(answer.headers['date'] ?? '') : NaN
  return Number.isNaN(date) ? 0 : date - now
}

/** What is near is near by either clock: nobody knows which of them was right at that time. */
function timesOf ({ reservedAt, givenUpAt }: LostRequest, ahead: number): Times {
  return {
    from: reservedAt + ahead - SKEW_MS,
    to: givenUpAt + ahead + SKEW_MS,
    nearFrom: reservedAt + Math.min(0, ahead) - NEAR_MS,
    nearTo: givenUpAt + Math.max(0, ahead) + NEAR_MS
  }
}

/** What messages to the same number say. */
function told (listed: readonly Listed[], text: string, { from, to, nearFrom, nearTo }: Times): Reconciled {
  const within = ({ date_created: made }: Listed, from: number, to: number): boolean => Date.parse(made) >= from && Date.parse(made) <= to
  const same = listed.filter(({ body }) => body === text || body === TRIAL + text)
  const found = same.filter(message => within(message, from, to))
  const near = same.filter(message => !found.includes(message) && within(message, nearFrom, nearTo))
  const erased = listed.filter(message => (message.body ?? '') === '' && within(message, from, to))
  const doubtful = answersOf([...near, ...erased])
  return found.length === 0 ? { is: 'not_found', doubtful } : { is: 'found', answers: answersOf(found), doubtful }
}

/** As if the request had been answered so. */
function answersOf (found: readonly Listed[]): FoundAnswer[] {
  const oldestFirst = found.toReversed().toSorted((a, b) => Date.parse(a.date_created) - Date.parse(b.date_created))
  return oldestFirst.map(message => ({ status: 201, body: JSON.stringify(message) }))
}

/** Only a whole list counts: an answer that cannot be read must not look like one without our message. */
function pageOf (answer: Answer): Page | { unclear: string } {
  if (answer.kind !== 'answer') return { unclear: `the list of messages could not be read: ${answer.code}` }
  if (answer.status !== 200 || answer.cut) return { unclear: `the list of messages could not be read: HTTP ${answer.status}${answer.cut ? ', too long' : ''}` }
  const data = parsed(answer.body)
  if (!isPage(data)) return { unclear: 'the list of messages could not be read: it has another form' }
  const next = data.next_page_uri === null ? null : placeOf(data.next_page_uri)
  return next === undefined ? { unclear: 'the next page of the list of messages cannot be read' } : { messages: data.messages, next }
}

function parsed (body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    return undefined
  }
}

function isPage (data: unknown): data is { messages: Listed[], next_page_uri: string | null } {
  if (data === null || typeof data !== 'object') return false
  const { messages, next_page_uri: next } = data as Record<string, unknown>
  return Array.isArray(messages) && messages.every(isListed) && (next === null || typeof next === 'string')
}

function isListed (message: unknown): message is Listed {
  if (message === null || typeof message !== 'object') return false
  const { body, to, direction, date_created: made } = message as Record<string, unknown>
  return [body, to].every(value => value === null || typeof value === 'string') && typeof direction === 'string' && typeof made === 'string' && !Number.isNaN(Date.parse(made))
}

/** Only the place in the list is taken from the address, never the address itself. */
function placeOf (uri: string): Place | undefined {
  const query = new URLSearchParams(uri.split('?')[1] ?? '')
  const page = query.get('Page')
  const token = query.get('PageToken')
  return page === null || page === '' || token === null || token === '' ? undefined : { page, page_token: token }
}
