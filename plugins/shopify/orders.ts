// A new order: what was bought, and the confirmation of what was preordered.

import type { SourceEvent, Translated } from '../../gateway/define.ts'
import { countOf, digitsOf, idOf, objectsOf, textOf, timeOf, type Json } from './body.ts'
import { customerOf } from './customer.ts'
import { kindOf, propertyOf, type LineKind } from './preorder.ts'
import type { Options } from './options.ts'

/** An event has 64 KiB at most; what is not a line of the order needs far less than the rest. */
const LINES_BYTES = 48 * 1024
const LINES_MAX = 1000
const TITLE_CHARS = 255
const TIMELINE_CHARS = 500

/** Something that a person who looks at the row should know. */
export interface Note { reason: string, detail: string }

interface Line { body: Json, quantity: number, kind: LineKind }
interface Order { id: string, name: string, number: number, createdAt: number, lines: Line[] }

/** What orders/create becomes. `notes` of the delivery itself come after those of the order. */
export function newOrder (body: Json, options: Options, notes: readonly Note[]): Translated {
  const order = orderOf(body, options)
  if (typeof order === 'string') return { is: 'parked', reason: 'not_an_order', detail: `The body is signed, and no order: ${order}.` }
  if (body.cancelled_at !== null && body.cancelled_at !== undefined) return { is: 'recorded', reason: 'order_cancelled', detail: `${order.name} is cancelled already: nothing follows from it.` }
  if (order.lines.length === 0) return { is: 'recorded', reason: 'order_empty', detail: `${order.name} has no line that anything is left of.` }
  const customer = customerOf(body, options.country)
  const placed = placedLines(order)
  const products = preordered(order)
  const timeline = timelineOf(order, options)
  const { id, name, number } = order
  const events = [
    eventOf(order, 'order.placed', { customer, order: { id, name, number }, lines: placed }),
    ...(products.length === 0 ? [] : [eventOf(order, 'preorder.confirmed', { customer, order: { id, name, number }, products, ...(timeline !== null && { shipping_timeline: timeline }) })])
  ]
  const preorders = order.lines.filter(({ kind }) => kind === 'preorder').length
  const leftOut = placed.length < order.lines.length || products.length < preorders
  const all = [...orderNotes(order, { preorders, hasPhone: customer.phone !== undefined, leftOut, test: body.test === true }), ...notes]
  return { is: 'events', events, ...(all[0] && { reason: all[0].reason, detail: all.map(({ detail }) => detail).join(' ') }) }
}

/** The order, or what keeps it from being one. */
function orderOf (body: Json, options: Options): Order | string {
  const id = idOf(body, 'Order')
  const number = countOf(body.order_number) ?? countOf(body.number)
  const createdAt = timeOf(body.created_at)
  if (id === null) return 'it has no id of an order'
  if (number === null) return 'it has no order_number'
  if (createdAt === null) return 'created_at is no time'
  if (!Array.isArray(body.line_items)) return 'it has no line_items'
  const lines = objectsOf(body.line_items).map(line => lineOf(line, options)).filter(({ quantity }) => quantity > 0)
  return { id, name: textOf(body.name, 100) ?? `#${number}`, number, createdAt, lines }
}

/** What an app took out of the order at once is not counted. */
function lineOf (body: Json, { preorder_properties: rules }: Options): Line {
  return { body, quantity: countOf(body.current_quantity) ?? countOf(body.quantity) ?? 0, kind: kindOf(body, rules) }
}

/** Two events of one order need two ids. */
function eventOf ({ id, createdAt }: Order, type: string, data: Record<string, unknown>): SourceEvent {
  return { id: `gid://shopify/Order/${id}/${type}`, type, timeAt: createdAt, data }
}

/** The preordered ones first, should not all of them fit. */
function placedLines ({ lines }: Order): object[] {
  const sorted = lines.toSorted((a, b) => Number(b.kind === 'preorder') - Number(a.kind === 'preorder'))
  return fitting(sorted.map(({ body, quantity, kind }) => {
    const [product, variant] = [digitsOf(body.product_id), digitsOf(body.variant_id)]
    return { ...(product !== null && { product_id: product }), ...(variant !== null && { variant_id: variant }), quantity, ...(kind === 'preorder' && { preorder: true }) }
  }))
}

function preordered ({ lines }: Order): object[] {
  return fitting(lines.filter(({ kind }) => kind === 'preorder').map(({ body, quantity }) => {
    const variant = textOf(body.variant_title, TITLE_CHARS)
    const title = textOf(body.title, TITLE_CHARS) ?? textOf(body.name, TITLE_CHARS) ?? 'Product'
    return { title, ...(variant !== null && variant !== 'Default Title' && { variant_title: variant }), quantity }
  }))
}

/** As many from the front as an event may hold. */
function fitting (items: readonly object[]): object[] {
  let bytes = 0
  const end = items.findIndex(item => (bytes += Buffer.byteLength(JSON.stringify(item)) + 1) > LINES_BYTES)
  return items.slice(0, Math.min(end === -1 ? items.length : end, LINES_MAX))
}

/** Of the first preordered line that says one. */
function timelineOf ({ lines }: Order, { timeline_property: name }: Options): string | null {
  if (name === undefined) return null
  const said = lines.filter(({ kind }) => kind === 'preorder').map(({ body }) => propertyOf(body, name)).find(text => text !== null)
  return said?.slice(0, TIMELINE_CHARS) ?? null
}

function orderNotes ({ lines, name }: Order, { preorders, hasPhone, leftOut, test }: { preorders: number, hasPhone: boolean, leftOut: boolean, test: boolean }): Note[] {
  const plans = lines.filter(({ kind }) => kind === 'unresolved').length
  return [
    ...(plans > 0 ? [{ reason: 'selling_plan_unresolved', detail: `${plans} of ${lines.length} lines of ${name} ${plans === 1 ? 'has' : 'have'} a selling plan and nothing else that tells a preorder: not confirmed, since a subscription has a plan too.` }] : []),
    ...(plans === 0 && preorders === 0 ? [{ reason: 'no_preorder', detail: `No line of ${name} is a preorder.` }] : []),
    ...(preorders > 0 && !hasPhone ? [{ reason: 'no_phone', detail: `${name} has no phone number that can be texted.` }] : []),
    ...(leftOut ? [{ reason: 'lines_left_out', detail: `${name} has more lines than an event may hold: the last ones are left out.` }] : []),
    ...(test ? [{ reason: 'test_order', detail: `${name} is a test order; it makes messages all the same.` }] : [])
  ]
}
