import { relative } from 'node:path'
import type { LimitGroup, Provider, SetupStep } from '../contract.ts'
import type { Run } from './command.ts'
import { load, pick } from './offline.ts'
import { cell, duration, indent, pairs, table } from './text.ts'

export const list: Run = async call => {
  const { providers } = await load(call)
  const items = [...providers.values()].map(provider => summary(provider, call.io.cwd))
  const heads = ['ID', 'TITLE', 'CHANNELS', 'NEEDS', 'EVENTS', 'STATE', 'FOLDER']
  const rows = items.map(({ id, title, channels, needs, events, coming_soon: soon, folder }) => [id, title, channels, needs, events.length, soon ? 'coming soon' : 'ready', folder])
  return { exit: 0, value: { items }, text: table(heads, rows, head => call.paint('bold', head)) }
}

export const show: Run = async call => {
  const { providers } = await load(call)
  const provider = pick('provider', call.positionals[0] as string, providers, 'GW_NOT_FOUND')
  const value = described(provider, call.io.cwd)
  return { exit: 0, value, text: page(provider, call.io.cwd, text => call.paint('bold', text)) }
}

function summary ({ id, title, channels, needs, events, comingSoon, dir }: Provider, cwd: string) {
  return { id, title, channels, needs, events: Object.keys(events), coming_soon: comingSoon, folder: relative(cwd, dir) || '.' }
}

function described (provider: Provider, cwd: string): object {
  const { baseUrl, connection, concurrency, deadlineMs, uncertain, groups, events, auth, settings, options, setup, code } = provider
  return {
    ...summary(provider, cwd), base_url: baseUrl, connection, concurrency, deadline_ms: deadlineMs, uncertain,
    limits: Object.values(groups).map(({ name, match, windows }) => ({ name, match, windows: windows.map(({ max, perMs }) => ({ max, per_ms: perMs })) })),
    events: Object.entries(events).map(([type, { request, group }]) => ({ type, request, limit: group })),
    auth: Object.entries(auth).map(([way, { fields }]) => ({ way, fields })),
    settings, options, setup, hooks: Object.keys(code).filter(name => name !== 'id')
  }
}

function page (provider: Provider, cwd: string, head: (text: string) => string): string {
  const { title, comingSoon, channels, needs, baseUrl, connection, concurrency, deadlineMs, uncertain, groups, events, auth, settings, options, setup } = provider
  const facts = pairs([
    ['id', provider.id], ['state', comingSoon ? 'coming soon' : 'ready'], ['folder', relative(cwd, provider.dir)], ['channels', channels], ['needs', needs], ['account', connection === 'gateway' ? 'the platform\'s' : 'each shop\'s own'],
    ['address', baseUrl], ['at once', concurrency], ['deadline', deadlineMs === null ? null : duration(deadlineMs)], ['no answer', uncertain],
    ['auth', Object.entries(auth).map(([way, { fields }]) => `${way} (${fields.join(', ')})`)]
  ])
  const sections: Array<[string, string]> = [
    ['Limits', table(['GROUP', 'WINDOWS', 'ENDPOINTS'], Object.values(groups).map(limitRow))],
    ['Events', table(['TYPE', 'REQUEST', 'LIMIT'], Object.entries(events).map(([type, { request, group }]) => [type, request, group]))],
    ['Settings', settingLines(settings)],
    ['Options', pairs(Object.entries(options))],
    ['Set-up', setup.map(stepLine).join('\n')]
  ]
  return [head(title), facts, ...sections.filter(([, text]) => text !== '').flatMap(([name, text]) => ['', head(name), indent(text)])].join('\n')
}

function limitRow ({ name, match, windows }: LimitGroup): unknown[] {
  const held = windows.map(({ max, perMs }) => `${max.toLocaleString('en-US')} per ${duration(perMs)}`)
  return [name, held.join(' and '), match.map(({ method, path }) => `${method} ${path}`)]
}

function settingLines ({ properties }: Provider['settings']): string {
  const entries = Object.entries(properties ?? {}) as Array<[string, Record<string, unknown>]>
  return pairs(entries.map(([name, schema]) => [name, `${cell(schema['enum'] ?? schema['type'])}; default ${JSON.stringify(schema['default'])}`]))
}

function stepLine ({ id, kind, per, needs, title }: SetupStep, at: number): string {
  const facts = [kind, ...(per === undefined ? [] : [`per ${per.replaceAll('_', ' ')}`]), ...(needs === undefined ? [] : [`after ${needs.join(', ')}`])]
  return `${at + 1}. ${cell(title ?? id)} (${facts.join(', ')})`
}
