import { connect } from './client.ts'
import type { Call, Run } from './command.ts'
import { cell, indent, table } from './text.ts'

interface Told { waiting: number, at_least: boolean, held_reason: string | null, sentence: string | null, seconds: number | null, until: string | null, limited_by: string | null }

interface Forecast extends Told { channel: string, provider: string | null, queues: Array<Told & { setup_group: string }> }

/** One channel, or all of the shop's. */
export const forecast: Run = async call => {
  const client = await connect(call)
  const [shop = '', channel] = call.positionals
  const path = `/v1/shops/${encodeURIComponent(shop)}`
  const channels = channel === undefined ? Object.keys((await client<{ channels: Record<string, unknown> }>(path)).channels) : [channel]
  const items = await Promise.all(channels.map(name => client<Forecast>(`${path}/channels/${encodeURIComponent(name)}/forecast`)))
  return { exit: 0, value: { items }, text: items.map(item => textOf(item, call)).join('\n\n') }
}

function textOf (item: Forecast, call: Call): string {
  const head = `${call.paint('bold', cell(item.channel))}: ${item.provider === null ? 'no provider' : cell(item.provider)}`
  const rows = item.queues.map(queue => [queue.setup_group, countOf(queue), timeOf(queue), queue.limited_by === 'nothing' ? null : queue.limited_by])
  if (rows.length === 0) return `${head}\n  nothing waits`
  return `${head}\n${indent(table(['GROUP', 'WAITING', 'THROUGH IN', 'LIMITED BY'], rows))}`
}

function countOf ({ waiting, at_least: atLeast }: Told): string { return `${atLeast ? 'at least ' : ''}${waiting}` }

function timeOf ({ seconds, until, held_reason: reason, sentence, waiting, at_least: atLeast }: Told): string | null {
  if (seconds === null) return `held  ${reason}: ${sentence}`
  return waiting === 0 ? null : `${atLeast ? 'at least ' : ''}${spanOf(Math.round(seconds))} (${until})`
}

/** `2 h 5 m`: the two largest units. */
function spanOf (seconds: number): string {
  const parts = [[Math.floor(seconds / 86_400), 'd'], [Math.floor(seconds / 3600) % 24, 'h'], [Math.floor(seconds / 60) % 60, 'm'], [seconds % 60, 's']] as const
  const first = parts.findIndex(([n]) => n > 0)
  if (first < 0) return 'under 1 s'
  return parts.slice(first, first + 2).filter(([n]) => n > 0).map(([n, unit]) => `${n} ${unit}`).join(' ')
}
