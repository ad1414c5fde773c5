// The list of messages: its filters, and its pages.

import { refusal } from './sandbox-codes.ts'
import type { Refusal } from './sandbox-codes.ts'
import { resource } from './sandbox-log.ts'
import type { Filter, Message, MessageLog } from './sandbox-log.ts'

const KNOWN: ReadonlySet<string> = new Set(['To', 'From', 'DateSent', 'DateSent<', 'DateSent>', 'PageSize', 'Page', 'PageToken'])
const E164 = /^\+[1-9]\d{6,14}$/
const PAGE_SIZE = 50
const PAGE_SIZE_MAX = 1000
const DAY_MS = 86_400_000

type Query = Record<string, string>

/** One page of an account's messages as Twilio answers it, newest first. */
export function readPage (account: string, query: Query, log: MessageLog, now: number): { status: number, body: object } | Refusal {
  const fault = queryFault(query)
  if (fault !== null) return fault
  const all = log.list(account, filterOf(query), now)
  const size = Number(query['PageSize'] ?? PAGE_SIZE)
  const page = Number(query['Page'] ?? 0)
  const start = startOf(all, query['PageToken'])
  if (start === null || (page > 0 && query['PageToken'] === undefined)) return refusal(20001, 'PageToken is none that was given')
  const messages = all.slice(start, start + size)
  const last = messages.at(-1)
  const more = last !== undefined && start + size < all.length
  const uri = (n: number, token?: string): string => addressOf(account, query, size, n, token)
  return {
    status: 200,
    body: {
      end: start + Math.max(0, messages.length - 1),
      first_page_uri: uri(0),
      next_page_uri: more ? uri(page + 1, `PA${last.sid}`) : null,
      page,
      page_size: size,
      previous_page_uri: page === 0 ? null : uri(page - 1, query['PageToken']),
      messages: messages.map(message => resource(message, now)),
      start,
      uri: uri(page, query['PageToken'])
    }
  }
}

function queryFault (query: Query): Refusal | null {
  const unknown = Object.keys(query).find(key => !KNOWN.has(key))
  if (unknown !== undefined) return refusal(20001, `There is no parameter ${unknown.slice(0, 60)}`)
  for (const key of ['To', 'From']) if (query[key] !== undefined && !E164.test(query[key])) return refusal(20001, `${key} is no phone number`)
  for (const key of ['DateSent', 'DateSent<', 'DateSent>']) if (query[key] !== undefined && Number.isNaN(dateOf(query[key]))) return refusal(20001, `${key} is no date`)
  const size = query['PageSize']
  if (size !== undefined && !(/^\d{1,4}$/.test(size) && Number(size) >= 1 && Number(size) <= PAGE_SIZE_MAX)) return refusal(20001, 'PageSize must be between 1 and 1000')
  return query['Page'] === undefined || /^\d{1,6}$/.test(query['Page']) ? null : refusal(20001, 'Page must be a number')
}

function filterOf (query: Query): Filter {
  const on = query['DateSent']
  const from = query['DateSent>'] ?? on
  const to = query['DateSent<'] ?? on
  return {
    ...(query['To'] !== undefined && { to: query['To'] }),
    ...(query['From'] !== undefined && { from: query['From'] }),
    ...(from !== undefined && { sentFrom: dateOf(from) }),
    ...(to !== undefined && { sentTo: dateOf(to) + (isDay(to) ? DAY_MS - 1 : 0) })
  }
}

/** A day, or a moment; both in GMT. */
function dateOf (text: string): number {
  if (isDay(text)) return Date.parse(text)
  return /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{1,3})?Z?$/.test(text) ? Date.parse(`${text.replace(' ', 'T').replace('Z', '')}Z`) : Date.parse(text)
}

function isDay (text: string): boolean {
  return /^\d{4}-\d\d-\d\d$/.test(text)
}

/** Where a page begins: after the message its token names; null where that is none of these. */
function startOf (all: readonly Message[], token: string | undefined): number | null {
  if (token === undefined) return 0
  const at = all.findIndex(({ sid }) => `PA${sid}` === token)
  return at === -1 ? null : at + 1
}

function addressOf (account: string, query: Query, size: number, page: number, token?: string): string {
  const filters = Object.entries(query).filter(([key]) => !key.startsWith('Page'))
  const parameters = new URLSearchParams({ ...Object.fromEntries(filters), PageSize: String(size), Page: String(page), ...(token === undefined ? {} : { PageToken: token }) })
  return `/2010-04-01/Accounts/${account}/Messages.json?${parameters.toString()}`
}
