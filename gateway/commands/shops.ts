import { connect } from './client.ts'
import type { Call, Run } from './command.ts'
import { cell, indent, pairs, table } from './text.ts'

interface Shop { id: string, name: string, domain: string, plan: string, active: boolean }

interface Channel {
  provider: string | null
  chosen?: boolean
  queues?: Array<{ setup_group: string, held_reason: string | null, sentence: string | null }>
}

interface Connection { provider: string, connection: 'shop' | 'gateway', auth?: string, account_id?: string | null, status: string, reason: string | null, ready?: string[] }

interface ShopDetails extends Shop { channels: Record<string, Channel>, connections: Connection[] }

export const list: Run = async call => {
  const client = await connect(call)
  const page = await client<{ items: Shop[], next_cursor: string | null }>('/v1/shops', { query: { limit: call.text('limit'), cursor: call.text('cursor') } })
  const rows = page.items.map(({ id, name, domain, plan, active }) => [id, name, domain, plan, active ? 'active' : 'inactive'])
  if (page.items.length === 0) call.remark('no shops')
  if (page.next_cursor !== null && !call.json) call.remark(`there may be more: --cursor ${cell(page.next_cursor)}`)
  return { exit: 0, value: page, text: page.items.length === 0 ? '' : table(['ID', 'NAME', 'DOMAIN', 'PLAN', 'STATE'], rows, head => call.paint('bold', head)) }
}

export const show: Run = async call => {
  const client = await connect(call)
  const shop = await client<ShopDetails>(`/v1/shops/${encodeURIComponent(call.positionals[0] as string)}`)
  const { id, name, domain, plan, active, channels, connections } = shop
  const facts = `${call.paint('bold', cell(id))}\n${pairs([['name', name], ['domain', domain], ['plan', plan], ['state', active ? 'active' : 'inactive']])}`
  const sections = [facts, ...Object.entries(channels).map(([channel, state]) => channelText(channel, state, call))]
  if (connections.length > 0) sections.push(`${call.paint('bold', 'Connections')}\n${indent(connectionTable(connections))}`)
  return { exit: 0, value: shop, text: sections.join('\n\n') }
}

function channelText (channel: string, { provider, chosen, queues = [] }: Channel, call: Call): string {
  const by = provider === null ? 'no provider' : `${cell(provider)}${chosen === false ? ' (the default)' : ''}`
  const lines = queues.map(({ setup_group: group, held_reason: reason, sentence }) => `  ${cell(group)}  ${reason === null ? call.paint('green', 'sends') : `${call.paint('yellow', 'held')}  ${cell(reason)}: ${cell(sentence)}`}`)
  return [`${call.paint('bold', cell(channel))}: ${by}`, ...lines].join('\n')
}

function connectionTable (connections: readonly Connection[]): string {
  const rows = connections.map(({ provider, connection, auth, account_id: account, status, reason, ready }) => {
    const told = reason === null ? status : `${status}: ${reason}`
    return connection === 'gateway' ? [provider, null, 'the platform\'s', told, 'all'] : [provider, auth, account, told, ready]
  })
  return table(['PROVIDER', 'AUTH', 'ACCOUNT', 'STATUS', 'SET UP'], rows)
}
