import { connect, type Client } from './client.ts'
import type { Call, Run, Style } from './command.ts'
import { Problem } from './problem.ts'
import { cell, indent, pairs, readable, table } from './text.ts'

/** Something that came in from outside. */
interface Received {
  id: string
  source: string
  topic: string
  shop: string | null
  subject: string | null
  state: string
  reason: string | null
  detail: string | null
  events: Array<{ id: string, type: string, event_id: string, status: string }>
  attempts: number
  received_at: string
  due_at: string | null
  settled_at: string | null
}

const FILTERS = ['source', 'shop', 'topic', 'subject', 'state', 'limit', 'cursor'] as const
/** Pages without anything that fits, read before a person is asked whether to go on. */
const EMPTY_PAGES = 50
const HEADS = ['ID', 'RECEIVED', 'SOURCE', 'TOPIC', 'SHOP', 'STATE', 'REASON', 'EVENTS']

interface Page { items: Received[], next_cursor: string | null }

export const list: Run = async call => {
  const client = await connect(call)
  const query = Object.fromEntries(FILTERS.map(name => [name, call.text(name)]))
  let page = await client<Page>('/v1/inbox', { query })
  for (let empty = 1; page.items.length === 0 && page.next_cursor !== null && empty < EMPTY_PAGES; empty++) {
    page = await client<Page>('/v1/inbox', { query: { ...query, cursor: page.next_cursor } })
  }
  const rows = page.items.map(({ id, received_at: at, source, topic, shop, state, reason, events }) => [id, at, source, topic, shop, state, reason, events.length])
  if (page.items.length === 0 && page.next_cursor === null) call.remark('nothing came in')
  if (page.next_cursor !== null && !call.json) call.remark(`there may be more: --cursor ${cell(page.next_cursor)}`)
  return { exit: 0, value: page, text: rows.length === 0 ? '' : table(HEADS, rows, head => call.paint('bold', head)) }
}

export const show: Run = async call => {
  const client = await connect(call)
  const row = await client<Received & { headers: Record<string, string>, body: string | null }>(pathOf(call.positionals[0] as string))
  return { exit: 0, value: row, text: [factsOf(row, call), ...eventsOf(row, call), bodyOf(row, call)].join('\n\n') }
}

/** Each on its own: one that cannot be worked on again keeps no other from it. */
export const retry: Run = async call => {
  const client = await connect(call)
  const items: Retried[] = []
  for (const id of call.positionals) items.push(await retryOne(id, client))
  const lines = items.map(item => 'error' in item
    ? `${cell(item.id)}  ${call.paint('red', 'refused')}  ${cell(item.error.message)} [${cell(item.error.code)}]`
    : `${cell(item.id)}  ${call.paint('green', cell(item.row.state))}`)
  return { exit: items.some(item => 'error' in item) ? 1 : 0, value: { items }, text: lines.join('\n') }
}

type Retried = { id: string, row: Received } | { id: string, error: { code: string, message: string } }

async function retryOne (id: string, client: Client): Promise<Retried> {
  try {
    return { id, row: await client<Received>(`${pathOf(id)}/retry`, { method: 'POST', body: {} }) }
  } catch (error) {
    if (!(error instanceof Problem) || error.code === 'GW_UNAUTHENTICATED') throw error
    return { id, error: { code: error.code, message: error.message } }
  }
}

const STYLE: Record<string, Style> = { done: 'green', recorded: 'green', parked: 'red' }

function factsOf (row: Received, call: Call): string {
  const { id, source, topic, shop, subject, state, reason, detail, attempts } = row
  return `${call.paint('bold', cell(id))}  ${call.paint(STYLE[state] ?? 'yellow', cell(state))}\n${pairs([
    ['reason', reason], ['detail', detail], ['source', source], ['topic', topic], ['shop', shop], ['subject', subject], ['attempts', attempts],
    ['received', row.received_at], ['due', row.due_at], ['settled', row.settled_at]
  ])}`
}

function eventsOf ({ events }: Received, call: Call): string[] {
  return events.length === 0 ? [] : [`${call.paint('bold', 'Events')}\n${table(['ID', 'TYPE', 'SOURCE ID', 'STATUS'], events.map(({ id, type, event_id: own, status }) => [own, type, id, status]))}`]
}

function bodyOf ({ headers, body }: { headers: Record<string, string>, body: string | null }, call: Call): string {
  const lines = Object.entries(headers).map(([name, value]) => `${cell(name)}: ${cell(value)}`)
  return [call.paint('bold', 'Body'), ...lines, indent(body === null ? '(it was larger than is kept)' : readable(body))].join('\n')
}

function pathOf (id: string): string { return `/v1/inbox/${encodeURIComponent(id)}` }
