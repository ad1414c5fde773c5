// The providers' APIs, played on a loopback listener: each folder's sandbox.ts, or a stand-in made from its manifest.
// What was received is read, and faults are ordered, below /<id>/_sandbox.

import { performance } from 'node:perf_hooks'
import fastify from 'fastify'
import type { FastifyBaseLogger, FastifyInstance, FastifyRequest } from 'fastify'
import type { Provider, SandboxContext, StandIn } from '../contract.ts'
import { sandboxCode } from './code.ts'
import { FAULT_SCHEMA, Faults, strikeWith } from './sandbox-faults.ts'
import type { FaultOrder } from './sandbox-faults.ts'
import { Recorder, Records } from './sandbox-records.ts'
import { ArrivalWindows } from './sandbox-windows.ts'
import { standIn } from './stand-in.ts'

const BODY_MAX = 6 * 1024 * 1024

/** Whose API is played. */
export type Played = Pick<Provider, 'id' | 'title' | 'dir' | 'groups'> & { standIn?: StandIn | undefined }

export interface SandboxOptions {
  providers: Iterable<Played>
  /** 0: any that is free. */
  port: number
  /** Milliseconds, monotonic: what windows are counted by. */
  now?: () => number
  /** Epoch milliseconds: what received requests are dated by. */
  wallNow?: () => number
  logger?: FastifyBaseLogger
  /** A file that gets a JSON line per arrival. */
  recordTo?: string
}

export interface Sandbox { url: string, port: number, close (): Promise<void> }

/** Starts on 127.0.0.1; each provider is at `/<id>`. Throws where a folder's sandbox.ts cannot be used. */
export async function startSandbox (options: SandboxOptions): Promise<Sandbox> {
  const app = fastify({
    bodyLimit: BODY_MAX,
    ajv: { customOptions: { removeAdditional: false } }, // a misspelt key of a fault is refused, not dropped
    forceCloseConnections: true, // hanging requests must not keep it open
    ...(options.logger === undefined ? {} : { loggerInstance: options.logger })
  })
  const recorder = options.recordTo === undefined ? null : new Recorder(options.recordTo)
  const played = [...options.providers]
  for (const provider of played) await mount(app, provider, options, recorder)
  app.get('/', async () => ({ sandbox: played.map(({ id, title }) => ({ id, title, requests: `/${id}/_sandbox/requests`, faults: `/${id}/_sandbox/faults`, stats: `/${id}/_sandbox/stats` })) }))
  await app.listen({ host: '127.0.0.1', port: options.port })
  const { port } = app.addresses()[0] as { port: number }
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    async close () {
      await app.close()
      await recorder?.close()
    }
  }
}

async function mount (app: FastifyInstance, provider: Played, options: SandboxOptions, recorder: Recorder | null): Promise<void> {
  const now = options.now ?? (() => performance.now())
  const wallNow = options.wallNow ?? Date.now
  const windows = new ArrivalWindows(provider.groups)
  const records = new Records()
  const faults = new Faults()
  const context: SandboxContext = {
    id: provider.id,
    groups: provider.groups,
    now,
    wallNow,
    take: (group, key) => windows.take(group, key, now()),
    left: (group, key) => windows.left(group, key, now()),
    record: entry => {
      const kept = records.add(entry, wallNow())
      recorder?.write(provider.id, kept)
    }
  }
  const plugin = await sandboxCode(provider.dir) ?? standIn(provider.standIn ?? { auth: [], requests: [] })
  const prefix = `/${provider.id}`
  await app.register(async scope => {
    rawBodies(scope)
    scope.addHook('onRequest', async (_request, reply) => { reply.header('date', new Date(wallNow()).toUTCString()) })
    strikeWith(faults, scope, request => pathOf(request, prefix))
    await plugin(scope, context)
  }, { prefix })
  await app.register(async scope => { inspect(scope, records, faults, windows) }, { prefix: `${prefix}/_sandbox` })
}

/** Bodies reach the API as they came, whatever they say they are: refusing them is its own business. */
function rawBodies (scope: FastifyInstance): void {
  scope.removeAllContentTypeParsers()
  scope.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => { done(null, body) })
}

/** The path as the provider knows it, without the query. */
function pathOf (request: FastifyRequest, prefix: string): string {
  return request.url.slice(prefix.length).split('?')[0] as string
}

function inspect (scope: FastifyInstance, records: Records, faults: Faults, windows: ArrivalWindows): void {
  const query = { type: 'object', properties: { limit: { type: 'integer', minimum: 1, maximum: 10_000, default: 100 }, after: { type: 'integer', minimum: 0, default: 0 } } }
  scope.get<{ Querystring: { limit: number, after: number } }>('/requests', { schema: { querystring: query } }, request => records.list(request.query.limit, request.query.after))
  scope.delete('/requests', async (_request, reply) => {
    records.clear()
    return reply.code(204).send()
  })
  scope.post<{ Body: FaultOrder }>('/faults', { schema: { body: FAULT_SCHEMA } }, async (request, reply) => reply.code(201).send(faults.add(request.body)))
  scope.get('/faults', async () => ({ items: faults.list() }))
  scope.delete('/faults', async (_request, reply) => {
    faults.clear()
    return reply.code(204).send()
  })
  scope.get('/stats', async () => ({ ...records.counts(), accounts: windows.usage() }))
}
