// A new order: what was bought, and the confirmation of what was preordered.

import type { SourceEvent, Translated } from '../../gateway/define.ts'
import { lookAgain } from './again.ts'
import { countOf, digitsOf, idOf, objectsOf, textOf, timeOf, type Json } from './body.ts'
import { customerOf } from './customer.ts'
import { propertyOf } from './preorder.ts'
import { planned, type Line, type Planned } from './plans.ts'
import type { Options } from './options.ts'
import { noted, PARKED, type Note, type Work } from './work.ts'

/** An event has 64 KiB at most; what is not a line of the order needs far less than the rest. */
const LINES_BYTES = 48 * 1024
const LINES_MAX = 1000
const TITLE_CHARS = 255
const TIMELINE_CHARS = 500

/** What is older than this is confirmed no more: a first sign of it then is no news. */
const PAID_AGE_MS = 3 * 24 * 3_600_000

interface Order extends Planned { id: string, name: string, number: number, createdAt: number }

/** What orders/create becomes. `notes` of the delivery itself come after those of the order. */
export async function newOrder (work: Work, notes: readonly Note[]): Promise<Translated> {
  const { body, options } = work
  const read = readOrder(body)
  if (typeof read === 'string') return { is: 'parked', reason: 'not_an_order', detail: `The body is signed, and no order: ${read}.` }
  if (body.cancelled_at !== null && body.cancelled_at !== undefined) return { is: 'recorded', reason: 'order_cancelled', detail: `${read.name} is cancelled already: nothing follows from it.` }
  if (read.lines.length === 0) return { is: 'recorded', reason: 'order_empty', detail: `${read.name} has no line that anything is left of.` }
  const order: Order = { ...read, ...await planned(read.id, read.lines, work) }
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
  const open = order.hidden || order.lines.some(({ kind }) => kind === 'unresolved')
  return noted({ is: 'events', events, ...(open && { steps: [lookAgain(work)] }) }, [...orderNotes(order, { preorders, hasPhone: customer.phone !== undefined, leftOut, test: body.test === true }), ...notes])
}

/** orders/paid: no news where the order was seen as it was made; where that was lost, the same events. */
export async function paidOrder (work: Work, notes: readonly Note[]): Promise<Translated> {
  const read = readOrder(work.body)
  if (typeof read === 'string') return { is: 'parked', reason: 'not_an_order', detail: `The body is signed, and no order: ${read}.` }
  if (work.received.receivedAt - read.createdAt > PAID_AGE_MS) return { is: 'recorded', reason: 'order_known', detail: `${read.name} was made more than three days before: nothing follows from its payment.` }
  const shop = await work.context.shop(work.shop)
  if (shop === null) return PARKED.shop(work.shop)
  const [known] = await work.context.read('shopify_event', { shop_key: shop.key, own: `/sources/${work.context.id}`, source_id: idOfEvent(read.id, 'order.placed') })
  if (known !== undefined) return { is: 'recorded', reason: 'order_known', detail: `${read.name} was worked on when it was made: nothing follows from its payment.` }
  return await newOrder(work, [...notes, { reason: 'create_missing', detail: 'That it was made had not been told before.' }])
}

/** The order, or what keeps it from being one. What an app took out of it at once is not counted. */
function readOrder (body: Json): Omit<Order, 'lines' | 'hidden'> & { lines: Array<Pick<Line, 'body' | 'quantity'>> } | string {
  const id = idOf(body, 'Order')
  const number = countOf(body.order_number) ?? countOf(body.number)
  const createdAt = timeOf(body.created_at)
  if (id === null) return 'it has no id of an order'
  if (number === null) return 'it has no order_number'
  if (createdAt === null) return 'created_at is no time'
  if (!Array.isArray(body.line_items)) return 'it has no line_items'
  const lines = objectsOf(body.line_items).map(line => ({ body: line, quantity: countOf(line.current_quantity) ?? countOf(line.quantity) ?? 0 })).filter(({ quantity }) => quantity > 0)
  return { id, name: textOf(body.name, 100) ?? `#${number}`, number, createdAt, lines }
}

/** Two events of one order need two ids. */
function eventOf ({ id, createdAt }: Order, type: string, data: Record<string, unknown>): SourceEvent {
  return { id: idOfEvent(id, type), type, timeAt: createdAt, data }
}

function idOfEvent (order: string, type: string): string { return `gid://shopify/Order/${order}/${type}` }

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

/** Of the first preordered line that says one; else what the plan of one says. */
function timelineOf ({ lines }: Order, { timeline_property: name }: Options): string | null {
  const preorders = lines.filter(({ kind }) => kind === 'preorder')
  const said = name === undefined ? [] : preorders.map(({ body }) => propertyOf(body, name))
  return textOf([...said, ...preorders.map(({ timeline }) => timeline)].find(text => text !== null), TIMELINE_CHARS)
}

function orderNotes ({ lines, name, hidden }: Order, { preorders, hasPhone, leftOut, test }: { preorders: number, hasPhone: boolean, leftOut: boolean, test: boolean }): Note[] {
  const plans = lines.filter(({ kind }) => kind === 'unresolved').length
  return [
    ...(plans > 0 ? [{ reason: 'selling_plan_unresolved', detail: `${plans} of ${lines.length} lines of ${name} ${plans === 1 ? 'has' : 'have'} a selling plan and nothing else that tells a preorder: not confirmed, since a subscription has a plan too.` }] : []),
    ...(hidden ? [{ reason: 'selling_plan_unresolved', detail: `Whether lines of ${name} have a selling plan this API version does not say, and it could not be asked.` }] : []),
    ...(plans === 0 && !hidden && preorders === 0 ? [{ reason: 'no_preorder', detail: `No line of ${name} is a preorder.` }] : []),
    ...(preorders > 0 && !hasPhone ? [{ reason: 'no_phone', detail: `${name} has no phone number that can be texted.` }] : []),
    ...(leftOut ? [{ reason: 'lines_left_out', detail: `${name} has more lines than an event may hold: the last ones are left out.` }] : []),
    ...(test ? [{ reason: 'test_order', detail: `${name} is a test order; it makes messages all the same.` }] : [])
  ]
}
