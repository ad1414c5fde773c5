import { connect, type Client } from './client.ts'
import type { Call, Run, Style } from './command.ts'
import { Problem } from './problem.ts'
import { cell, indent, pairs, readable, table } from './text.ts'

interface Delivery {
  id: string
  shop: string
  channel: string
  setup_group: string
  provider: string | null
  state: string
  reason: string | null
  sentence: string
  detail: string | null
  event: { id: string, source: string, type: string, source_id: string, time?: string, received_at?: string, data?: unknown }
  attempts: number
  provider_message_id: string | null
  carrier?: { status: string, code: string | null } | null
  due_at: string | null
  expires_at: string
  created_at: string
  finished_at: string | null
  mode?: 'send' | 'record'
  again_of?: string | null
  sent_again?: string[]
}

/** One request that was made for a delivery. */
interface Exchange {
  number: number
  lane: string
  reserved_at: string
  settled_at: string | null
  request: { name: string, method: string, path: string, headers: Record<string, string>, body: unknown } | null
  status: number | null
  answer: unknown
  outcome: string | null
}

const FILTERS = ['shop', 'state', 'type', 'provider', 'event-id', 'source-id', 'phone', 'limit', 'cursor'] as const

export const list: Run = async call => {
  const client = await connect(call)
  const query = Object.fromEntries(FILTERS.map(name => [name.replace('-', '_'), call.text(name)]))
  const page = await client<{ items: Delivery[], next_cursor: string | null }>('/v1/deliveries', { query })
  const rows = page.items.map(({ id, created_at: at, shop, event, provider, state, reason, attempts }) => [id, at, shop, event.type, provider, state, reason, attempts])
  const heads = ['ID', 'CREATED', 'SHOP', 'EVENT', 'PROVIDER', 'STATE', 'REASON', 'ATTEMPTS']
  if (page.items.length === 0) call.remark('no deliveries')
  if (page.next_cursor !== null && !call.json) call.remark(`there may be more: --cursor ${cell(page.next_cursor)}`)
  return { exit: 0, value: page, text: page.items.length === 0 ? '' : table(heads, rows, head => call.paint('bold', head)) }
}

export const show: Run = async call => {
  const client = await connect(call)
  const delivery = await client<Delivery & { calls: Exchange[] }>(pathOf(call.positionals[0] as string))
  return { exit: 0, value: delivery, text: [factsOf(delivery, call), eventOf(delivery, call), ...delivery.calls.map(one => exchangeOf(one, call))].join('\n\n') }
}

/** Each on its own: one that cannot be tried again keeps no other from it. */
export const retry: Run = async call => {
  const client = await connect(call)
  const items: object[] = []
  const lines: string[] = []
  for (const id of call.positionals) {
    const outcome = await retryOne(id, client, { may_have_been_sent: call.flag('may-have-been-sent'), expired: call.flag('expired') })
    items.push(outcome)
    lines.push('error' in outcome
      ? `${cell(id)}  ${call.paint('red', 'refused')}  ${cell(outcome.error.message)} [${cell(outcome.error.code)}]`
      : `${cell(id)}  ${call.paint('green', cell(outcome.delivery.state))}`)
  }
  return { exit: items.some(item => 'error' in item) ? 1 : 0, value: { items }, text: lines.join('\n') }
}

type Retried = { id: string, delivery: Delivery } | { id: string, error: { code: string, message: string } }

async function retryOne (id: string, client: Client, body: object): Promise<Retried> {
  try {
    return { id, delivery: await client<Delivery>(`${pathOf(id)}/retry`, { method: 'POST', body }) }
  } catch (error) {
    if (!(error instanceof Problem) || error.code === 'GW_UNAUTHENTICATED') throw error
    return { id, error: { code: error.code, message: error.message } }
  }
}

/** What the provider then has is another message: the person says what for. */
export const sendAgain: Run = async call => {
  const client = await connect(call)
  const id = call.positionals[0] as string
  const delivery = await client<Delivery>(`${pathOf(id)}/send-again`, { method: 'POST', body: againOf(call) })
  return { exit: 0, value: delivery, text: `${cell(delivery.id)}  ${call.paint('green', cell(delivery.state))}  ${cell(delivery.mode)}s ${cell(id)} again` }
}

function againOf (call: Call): object {
  return {
    mode: call.flag('record-only') ? 'record' : 'send',
    reason: call.text('reason'),
    may_have_been_sent: call.flag('may-have-been-sent'),
    expired: call.flag('expired')
  }
}

function factsOf (delivery: Delivery, call: Call): string {
  const { id, shop, channel, setup_group: group, provider, state, reason, sentence, detail, attempts } = delivery
  const head = `${call.paint('bold', cell(id))}  ${call.paint(STYLE[state] ?? 'yellow', cell(state))}  ${cell(sentence)}`
  return `${head}\n${pairs([
    ['reason', reason], ['detail', detail], ['shop', shop], ['channel', channel], ['set-up group', group], ['provider', provider], ['mode', delivery.mode === 'record' ? 'record' : null], ['again of', delivery.again_of], ['sent again', delivery.sent_again?.join(' ')], ['attempts', attempts], ['provider message id', delivery.provider_message_id], ['carrier', delivery.carrier && [delivery.carrier.status, delivery.carrier.code ?? ''].join(' ').trim()],
    ['created', delivery.created_at], ['due', delivery.due_at], ['expires', delivery.expires_at], ['finished', delivery.finished_at]
  ])}`
}

const STYLE: Record<string, Style> = { delivered: 'green', rejected: 'red', expired: 'red' }

function eventOf ({ event }: Delivery, call: Call): string {
  const facts = pairs([['type', event.type], ['id', event.id], ['source', event.source], ['source id', event.source_id], ['time', event.time], ['received', event.received_at]])
  const data = event.data === null || event.data === undefined ? '(its data is gone: the retention has ended)' : readable(event.data)
  return `${call.paint('bold', 'Event')}\n${facts}\n${indent(data)}`
}

function exchangeOf ({ number, lane, reserved_at: asked, settled_at: settled, request, status, answer, outcome }: Exchange, call: Call): string {
  const head = call.paint('bold', `Call ${number}`)
  const facts = pairs([['lane', lane], ['sent', asked], ['settled', settled], ['outcome', outcome], ['status', status]])
  const sent = request === null ? '(the request is gone)' : [`${cell(request.method)} ${cell(request.path)}`, ...headerLines(request.headers), ...bodyLines(request.body)].join('\n')
  const came = answer === null || answer === undefined || answer === '' ? [] : ['answer', indent(readable(answer))]
  return [head, facts, 'request', indent(sent), ...came].join('\n')
}

function headerLines (headers: Record<string, string>): string[] {
  return Object.entries(headers).map(([name, value]) => `${cell(name)}: ${cell(value)}`)
}

function bodyLines (body: unknown): string[] {
  return body === null || body === undefined ? [] : ['', readable(body)]
}

function pathOf (id: string): string {
  return `/v1/deliveries/${encodeURIComponent(id)}`
}
