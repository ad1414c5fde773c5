// Reminder 1: made when it is due, for those for whom it still makes sense. Asked again before it is sent.

import type { Row, SourceContext, SourceEvent, SourceJob, SourceShop } from '../../gateway/define.ts'
import { alertData, toldOf } from './alert.ts'
import { fateOf } from './sent.ts'

const REMINDER = 'back_in_stock.reminder'
const PAGE = 500
const SHOPS = 100
const AGAIN_MS = 30_000
/** One that could not be made for so long is not made any more. */
const STALE_MS = 7 * 24 * 3_600_000

/** One round over the shops for which something is due; the cursor is the last one looked at. */
export async function runReminders (job: SourceJob, context: SourceContext): Promise<{ afterMs: number, cursor: string | null }> {
  const from = Number(job.cursor ?? 0)
  const shops = await context.read('waitlist_reminder_shops', { now: context.now(), after_key: from, limit: SHOPS })
  let more = false
  for (const { shop_key: key } of shops) more = await ofShop(key as number, context) || more
  const next = shops.length < SHOPS ? null : String(shops.at(-1)?.shop_key)
  return { afterMs: more || next !== null ? 0 : AGAIN_MS, cursor: next }
}

/** True where more is due that can be made at once. */
async function ofShop (shopKey: number, context: SourceContext): Promise<boolean> {
  const shop = await context.shopByKey(shopKey)
  if (shop === null) return false
  const rows = await context.read('waitlist_reminders_due', { shop_key: shopKey, now: context.now(), limit: PAGE })
  const ends = Map.groupBy(await context.read('message_ends', { shop_key: shopKey, source_ids: JSON.stringify(rows.map(({ alert_id: id }) => id)) }), ({ source_id: id }) => id)
  const reasons = await Promise.all(rows.map(row => dropped(row, ends.get(row.alert_id as string) ?? [], shopKey, context)))
  const drops = Map.groupBy(rows.map((row, i) => ({ row, reason: reasons[i] ?? null })).filter(({ reason }) => reason !== null), ({ reason }) => reason as string)
  if (drops.size > 0) await context.commit([...drops].map(([reason, those]) => ({ name: 'waitlist_unreminded', params: { reason, keys: keysOf(those.map(({ row }) => row)) } })))
  const { room, provider, held } = await context.ahead(shopKey, REMINDER)
  const due = rows.filter((_row, i) => reasons[i] === null)
  const now = provider === null || held !== null ? [] : due.slice(0, room)
  if (now.length > 0) await make(now, shop, context)
  return rows.length === PAGE && (drops.size > 0 || now.length > 0)
}

/** Why it is not made; null where it is. `alert`: its messages, as far as they are kept. */
async function dropped (row: Row, alert: readonly Row[], shopKey: number, context: SourceContext): Promise<string | null> {
  const { state, consent, bought_at: bought, joined_at: joined, total, remind_at: due } = row
  if (state !== 3) return 'unsubscribed'
  if (consent === 0) return 'no_consent'
  if (bought !== null && (bought as number) >= (joined as number)) return 'bought_since'
  if (total !== null && (total as number) < 1) return 'sold_out'
  if ((due as number) < context.now() - STALE_MS) return 'expired'
  const fate = alert.length === 0 ? null : fateOf(alert)
  if (fate?.is === 'skipped' || fate?.is === 'returned') return fate.reason // taken first, and failed at the carrier
  return (await context.read('opt_out_of', { shop_key: shopKey, person: row.person as Uint8Array })).length > 0 ? 'opted_out' : null
}

/** All of them in one unit. One that the door refuses is dropped, and the others go. */
async function make (rows: readonly Row[], shop: SourceShop, context: SourceContext): Promise<void> {
  const products = new Map<string, ReturnType<typeof toldOf>>()
  for (const { product } of rows) if (!products.has(product as string)) products.set(product as string, toldOf((await context.read('waitlist_product', { shop_key: shop.key, product: product as string }))[0]?.data))
  let left = rows
  while (left.length > 0) {
    const events = left.map(row => eventOf(row, products.get(row.product as string) ?? null, shop, context.now()))
    const keys = keysOf(left)
    const made = await context.accept(events, [{ name: 'waitlist_reminded', params: { keys } }, { name: 'waitlist_all_reminded', params: { keys, count: left.length } }])
    if (made.is === 'accepted') return
    const refused = left.find(row => reminderIdOf(row) === made.sourceId)
    if (refused === undefined) throw new Error(`the reminders were refused: ${made.code} ${made.message}`)
    await context.commit([{ name: 'waitlist_unreminded', params: { reason: 'event_refused', keys: keysOf([refused]) } }])
    left = left.filter(row => row !== refused)
  }
}

function reminderIdOf ({ id, alerts }: Row): string { return `${id as string}/reminder/${alerts as number}` }

function eventOf (row: Row, product: ReturnType<typeof toldOf>, shop: SourceShop, now: number): SourceEvent & { shop: string } {
  return { shop: shop.id, id: reminderIdOf(row), type: REMINDER, timeAt: now, data: { stage: 1, ...alertData(row, product) } }
}

function keysOf (rows: readonly Row[]): string { return JSON.stringify(rows.map(({ signup_key: key }) => key)) }
