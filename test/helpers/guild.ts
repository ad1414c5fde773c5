// "guild": a provider that texts its members only, with a sandbox that people join at, leave, and are waited for.

import { request } from 'undici'
import { anEvent, CONFIG, type App } from './app.ts'

export const GUILD = {
  'provider.yaml': `contract: 1
id: guild
title: Guild
channels: [sms]
base_url: https://api.guild.example
auth:
  token: { headers: { authorization: "Bearer {{ secret.token }}" } }
limits:
  all: { match: [GET /v1/members, "GET /v1/members/{id}", POST /v1/members, POST /v1/messages], windows: [{ max: 100, per: 1s }] }
requests:
  members: { method: GET, path: /v1/members, query: { phone: "{{ map.digits }}" } }
  member: { method: GET, path: "/v1/members/{{ map.id }}" }
  invite: { method: POST, path: /v1/members, body: { phone: "{{ data.customer.phone }}", room: "{{ map.room }}" } }
  message: { method: POST, path: /v1/messages, body: { to: "{{ data.customer.phone | default: '' }}", key: "{{ delivery.key }}", text: "{{ map.text }}" } }
settings:
  room: { title: Room, description: Where members come in., type: string, default: "" }
uncertain: repeat_once
outcomes:
  - { request: invite, status: 400, is: rejected, reason: phone_refused, detail: "{{ response.body.why }}" }
  - { status: 400, is: rejected, reason: payload_refused }
  - { status: 409, is: delivered, reason: accepted_elsewhere }
events:
  waitlist.joined: { request: invite, needs_settings: [{ name: room, reason: keyword_missing }], map: { room: "{{ connection.settings.room }}" } }
  back_in_stock.alert: { request: message, map: { text: "{{ data.product.title }}" } }
  preorder.confirmed: { request: message, requires: [{ at: /customer/phone, reason: no_phone }], map: { text: "{{ data.order.name }}" } }
subscribers:
  phone: /phone
  ref: /id
  states:
    - { at: /mail, equals: all, is: subscribed }
    - { at: /mail, equals: orders, is: transactional_only }
    - { at: /mail, equals: none, is: opted_out }
  find: { request: members, map: { digits: "{{ person.digits }}" }, items: /members }
  find_by_ref: { request: member, map: { id: "{{ person.ref }}" } }
  add: [waitlist.joined]
  gate: [back_in_stock.alert, preorder.confirmed]
  add_for: [back_in_stock.alert]
setup:
  - { id: key, kind: api_key, title: Token, text: Paste the token., fields: { token: { label: Token } } }
`,
  'sandbox.ts': `export default function guild (app, context) {
  const members = new Map()
  const invited = new Set()
  const read = body => JSON.parse(String(body))
  const counts = {}
  const told = (what, status, body) => { counts[what] = (counts[what] ?? 0) + 1; context.record({ account: 'one', method: what.split(' ')[0], path: what.split(' ')[1], body, status }) }
  app.get('/v1/members', async request => { told('GET /v1/members', 200, request.query); return { members: [...members.values()].filter(one => one.phone.endsWith(request.query.phone)) } })
  app.get('/v1/members/:id', async (request, reply) => [...members.values()].find(one => one.id === request.params.id) ?? reply.code(404).send({}))
  app.post('/v1/members', async (request, reply) => {
    const body = read(request.body)
    const status = members.has(body.phone) || invited.has(body.phone) ? 409 : 200
    invited.add(body.phone)
    told('POST /v1/members', status, body)
    return reply.code(status).send({})
  })
  app.post('/v1/messages', async request => { told('POST /v1/messages', 200, read(request.body)); return {} })
  app.post('/_sandbox/members', async request => { const body = read(request.body); members.set(body.phone, { id: 'm' + body.phone.slice(-4), ...body }); return {} })
  app.get('/_sandbox/counts', async () => counts)
}
`,
  'setup.md': '# Send through Guild\n'
}

/** The config with a shop at the guild, whose folder is `path`. */
export function guildConfig (path: string, settings: object = { room: 'hall' }): string {
  return CONFIG.replace('providers:\n', `providers:\n  guild: { path: ${path} }\n`)
    .replace('    channels: { sms: courier }', '    channels: { sms: guild }')
    .replace('connections: [{ provider: courier, secrets: { api_key: { env: ACME_KEY } },', `connections: [{ provider: guild, settings: ${JSON.stringify(settings)}, secrets: { token: { env: ACME_KEY } },`)
}

/** What people do at the guild: members (with `mail`: all, orders or none). */
export async function atGuild (app: App, what: string, body: object): Promise<void> {
  const answer = await request(`${app.sandboxUrl}/guild/_sandbox/${what}`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
  await answer.body.dump()
  if (answer.statusCode !== 200) throw new Error(`${what} answered ${answer.statusCode}`)
}

/** An event about a customer. */
export function eventFor (id: string, phone: string | null, type: 'back_in_stock.alert' | 'preorder.confirmed' | 'waitlist.joined' = 'back_in_stock.alert', consent: object = { sms: true }): object {
  const plain = anEvent(id, { type: type === 'preorder.confirmed' ? type : 'back_in_stock.alert' })
  const { phone: _phone, ...customer } = (plain.data as { customer: Record<string, unknown> }).customer
  return { ...plain, type, data: { ...plain.data, ...(type === 'waitlist.joined' && { consent }), customer: { ...customer, ...(phone !== null && { phone }) } } }
}

/** Requests that arrived there: how many, by method and path. */
export async function arrived (app: App): Promise<Record<string, number>> {
  return await (await request(`${app.sandboxUrl}/guild/_sandbox/counts`)).body.json() as Record<string, number>
}
