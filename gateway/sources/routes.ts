// GET /v1/inbox…, POST /v1/inbox/{id}/retry: what came in from outside, what came of it, and work on it again.

import { setImmediate } from 'node:timers/promises'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Row, Store } from '../contract.ts'
import { GatewayError } from '../errors.ts'
import { INBOX_STATE, inboxView, type InboxState } from './rows.ts'

/** Rows looked at for one page: bounds how long a filter that fits nothing may search. */
const SLICE = 5000
const SLICES = 20

interface Caller { id: string, shops: readonly string[] | '*', mayUse (shop: string): boolean }

export interface InboxRoutesOptions {
  store: Store
  caller (request: FastifyRequest): Caller
  /** Signs cursors, bound to who asked for what. */
  cursors: { seal (position: string, bound: string): string, open (cursor: string, bound: string): string }
  /** Epoch milliseconds: events of before are not known any more. */
  knownSince (): number
  inbox: { knows (source: string): boolean, retry (row: Row, actor: string): Promise<boolean> }
}

const LIST = {
  querystring: {
    type: 'object',
    additionalProperties: false,
    properties: {
      source: { type: 'string', maxLength: 100 },
      shop: { type: 'string', maxLength: 200 },
      topic: { type: 'string', maxLength: 200 },
      subject: { type: 'string', maxLength: 200 },
      state: { enum: Object.keys(INBOX_STATE) },
      limit: { type: 'integer', minimum: 1, maximum: 200, default: 50 },
      cursor: { type: 'string', maxLength: 100 }
    }
  }
} as const

interface ListQuery { source?: string, shop?: string, topic?: string, subject?: string, state?: InboxState, limit: number, cursor?: string }

const BY_ID = { params: { type: 'object', properties: { id: { type: 'string', maxLength: 60 } } } } as const
const NO_BODY = { anyOf: [{ type: 'null' }, { type: 'object', additionalProperties: false, properties: {} }] } as const

export function inboxRoutes (app: FastifyInstance, options: InboxRoutesOptions): void {
  const { store, caller, inbox } = options
  const view = (row: Row) => inboxView(row, inbox.knows(String(row.source)))

  app.get<{ Querystring: ListQuery }>('/v1/inbox', { config: { scope: 'deliveries:read' }, schema: LIST }, async request => {
    const { rows, next } = await search(request, options)
    return { items: rows.map(view), next_cursor: next }
  })

  app.get<{ Params: { id: string } }>('/v1/inbox/:id', { config: { scope: 'deliveries:read' }, schema: BY_ID }, async request => {
    const row = await find(store, request.params.id, caller(request))
    return { ...view(row), headers: JSON.parse(row.headers as string) as object, body: row.body }
  })

  app.post<{ Params: { id: string } }>('/v1/inbox/:id/retry', { config: { scope: 'deliveries:write' }, schema: { ...BY_ID, body: NO_BODY } }, async (request, reply) => {
    const { id } = request.params
    const row = await find(store, id, caller(request))
    if (row.reason === 'redacted') throw new GatewayError('GW_CONFLICT', 'It was erased, as the customer or the shop asked for; there is nothing to work on.')
    if (row.body === null) throw new GatewayError('GW_CONFLICT', 'Its body was too large and was not kept; there is nothing to work on.')
    if (row.reason === 'callback' && !inbox.knows(String(row.source))) throw new GatewayError('GW_CONFLICT', 'It was sent to a provider\'s address: it is kept, and nothing is made of it.')
    if (row.events !== null && Number(row.received_at) < options.knownSince()) throw new GatewayError('GW_CONFLICT', 'It came so long ago that the events it made are not known any more: they would be made twice.')
    if (!await inbox.retry(row, caller(request).id)) throw new GatewayError('GW_CONFLICT', 'It is to be worked on already.')
    return reply.code(202).send(view(await find(store, id, caller(request))))
  })
}

/** Where the next slice begins: what is parked or about one thing may lie far apart. */
function newestBefore (store: Store, before: number, { subject, state }: ListQuery): Promise<Row[]> {
  if (subject !== undefined) return store.read('newest_inbox_of_subject_before', { subject, before })
  return store.read(state === 'parked' ? 'newest_parked_inbox_before' : 'newest_inbox_before', { before })
}

/** What names no shop concerns nobody's in particular: only those who may use every shop see it. */
function maySee (row: Row, caller: Caller): boolean {
  return row.shop === null ? caller.shops === '*' : caller.mayUse(row.shop as string)
}

async function find (store: Store, id: string, caller: Caller): Promise<Row> {
  const [row] = await store.read('inbox_by_id', { id })
  if (!row || !maySee(row, caller)) throw new GatewayError('GW_NOT_FOUND', 'Nothing in the inbox has this id.')
  return row
}

async function search (request: FastifyRequest<{ Querystring: ListQuery }>, { store, caller, cursors }: InboxRoutesOptions): Promise<{ rows: Row[], next: string | null }> {
  const { source = null, shop = null, topic = null, subject = null, state, limit, cursor } = request.query
  const { id, shops } = caller(request)
  const bound = `inbox ${id} ${JSON.stringify([source, shop, topic, subject, state])}`
  let before = cursor === undefined ? Number.MAX_SAFE_INTEGER : Number(cursors.open(cursor, bound))
  const filters = { source, shop, topic, subject, state: state === undefined ? null : INBOX_STATE[state], shops: shops === '*' ? null : JSON.stringify(shops) }
  const rows: Row[] = []
  for (let slice = 0; slice < SLICES && rows.length < limit; slice++) {
    const [newest] = await newestBefore(store, before, request.query)
    if (newest?.inbox_key == null) return { rows, next: null }
    const floor = (newest.inbox_key as number) - SLICE
    rows.push(...await store.read('list_inbox', { ...filters, before, floor, limit: limit - rows.length }))
    before = rows.length === limit ? rows.at(-1)?.inbox_key as number : floor
    await setImmediate() // others have their turn between two slices
  }
  return { rows, next: cursors.seal(String(before), bound) }
}
