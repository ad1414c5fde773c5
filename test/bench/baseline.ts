// What the gateway is measured against: the same route, the same compiled schema, the same mapping and the same
// HTTP client, and nothing is kept. What is in flight when it ends is gone.
//
//   node baseline.ts accept     validates and answers 202
//   node baseline.ts deliver    and then maps and sends each event, 64 at once

import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import fastify from 'fastify'
import { type Dispatcher, Pool } from 'undici'
import type { MappingScope, Provider } from '../../gateway/contract.ts'
import { loadAll } from '../../gateway/load.ts'
import { systemRuntime } from '../../gateway/runtime.ts'

const CONNECTIONS = 64
/** A batch is answered only when there is room for it: an accepted backlog lives in memory here. */
const BACKLOG = 2000
const BODY_CAP_BYTES = 4 * 1024 * 1024

interface Posted { id: string, shop: string, type: string, data: Record<string, unknown> }

const runtime = systemRuntime()
const delivers = process.argv[2] === 'deliver'
const { loaded, faults } = await loadAll({
  file: join(import.meta.dirname, 'gateway.config.yaml'),
  cwd: process.cwd(),
  env: process.env,
  createSecrets: true,
  sandboxUrl: config => config.sandbox.url
})
if (loaded === null) throw new Error(JSON.stringify(faults, null, 2))
const provider = loaded.providers.get('bench') as Provider
const schemas = loaded.schemas
const { origin, pathname } = new URL(provider.baseUrl)
const credentials = provider.authorize('api_key', { api_key: process.env['BENCH_API_KEY'] as string })
const pool = new Pool(origin, { connections: CONNECTIONS, pipelining: 1 })

const backlog: Posted[] = []
let first = 0
let sending = 0
let room: Array<() => void> = []

function receipt (event: Posted): object {
  if (schemas.get(event.type)?.valid(event.data) !== true) return { id: event.id, status: 'refused', deliveries: [] }
  if (delivers) backlog.push(event)
  return { id: event.id, status: 'accepted', deliveries: [{ id: runtime.id('dlv_'), provider: provider.id, state: 'waiting' }] }
}

function scopeOf (event: Posted): MappingScope {
  const id = runtime.id('dlv_')
  return {
    data: event.data,
    shop: { id: event.shop, name: 'Acme', domain: 'acme.example' },
    connection: { account_id: 'bench-account', settings: {} },
    event: { id: event.id, source: '/bench', type: event.type, time: new Date(runtime.now()).toISOString() },
    delivery: { id, key: id, attempt: 1, record_only: false }
  }
}

function send (): void {
  while (sending < CONNECTIONS && first < backlog.length) {
    const event = backlog[first++] as Posted
    if (first === BACKLOG) {
      backlog.splice(0, first)
      first = 0
    }
    const prepared = provider.prepare(event.type, scopeOf(event))
    if (!prepared.ok) throw new Error(prepared.detail)
    const { method, path, headers, body } = prepared.request
    sending++
    pool.dispatch({ method: method as Dispatcher.HttpMethod, path: pathname + path, headers: { ...headers, ...credentials }, body }, handler)
  }
  if (room.length > 0 && backlog.length - first < BACKLOG) {
    const waiting = room
    room = []
    for (const go of waiting) go()
  }
}

const handler: Dispatcher.DispatchHandler = {
  onRequestStart () {},
  onResponseStart () {},
  onResponseData () {},
  onResponseEnd () { sending--; send() },
  onResponseError (_controller, error) { throw error }
}

const app = fastify({ logger: false, bodyLimit: BODY_CAP_BYTES, onProtoPoisoning: 'error', onConstructorPoisoning: 'error' })
app.post('/v1/events', async (request, reply) => {
  const { body } = request
  if (!Array.isArray(body)) {
    const answer = receipt(body as Posted)
    if (delivers) send()
    return reply.code(202).send(answer)
  }
  const items = (body as Posted[]).map(receipt)
  if (delivers) send()
  if (backlog.length - first >= BACKLOG) await new Promise<void>(resolve => { room.push(resolve) })
  return reply.code(202).send({ items })
})
await app.listen({ host: '127.0.0.1', port: 0 })
console.log(`baseline listening on http://127.0.0.1:${(app.server.address() as AddressInfo).port}`)
