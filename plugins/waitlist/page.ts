// A page of a wave: the alerts of the oldest who wait, in one unit with their sign-ups and the wave's counters.

import type { Made, Row, SourceContext, SourceEvent, SourceShop, Step } from '../../gateway/define.ts'
import { alertData, toldOf } from './alert.ts'
import { ALERT, turnSteps, type Working } from './wave.ts'

const PAGE = 500
/** Of the first one, which is on its way the sooner. */
const FIRST_PAGE = 50
/** What the door refuses of an event for what the sign-up holds; anything else is nobody's fault who waits. */
const REFUSED = new Set(['GW_EVENT_INVALID', 'GW_TOO_LARGE', 'GW_EVENT_CONFLICT'])

/** `rested`: they wait for the product to be published. */
export type Page = 'made' | 'nobody' | 'rested'

/** Makes at most `most`. Throws what the store throws, and then nothing was made. */
export async function makePage (working: Working, { shop, most }: { shop: SourceShop, most: number }): Promise<Page> {
  const { wave, context } = working
  const limit = Math.min(wave.made === 0 ? FIRST_PAGE : PAGE, most)
  const rows = await waiting(working, limit)
  if (rows.length === 0) return await again(working)
  const product = toldOf((await context.read('waitlist_product', { shop_key: working.shopKey, product: (rows[0] as Row).product as string }))[0]?.data)
  if (product?.product.available === false) return 'rested'
  const skipped = new Map(rows.filter(({ consent }) => consent === 0).map(row => [row, 'no_consent']))
  const last = rows.at(-1) as Row
  for (;;) {
    const taken = rows.filter(row => !skipped.has(row))
    const events = taken.map(row => eventOf(row, alertData(row, product), { shop, context }))
    const made = await accepted(working, { rows, limit }, () => context.accept(events, [...turnSteps(working), ...takeSteps(wave, taken), ...skipSteps(skipped), {
      name: 'waitlist_wave_made',
      params: { wave_key: wave.wave_key as number, count: taken.length, skipped: skipped.size, after_at: last.joined_at as number, after_key: last.signup_key as number }
    }]))
    if (made === 'overtaken' || made.is === 'accepted') return 'made'
    const refused = taken.find(row => alertIdOf(row) === made.sourceId)
    if (refused === undefined || !REFUSED.has(made.code)) throw new Error(`the alerts were refused: ${made.code} ${made.message}`)
    context.warn({ shop: shop.id, signup: refused.id, code: made.code }, 'an alert was refused, and the sign-up is skipped')
    skipped.set(refused, 'event_refused')
  }
}

/** Where one of them does not wait any more nothing of the unit was kept, and the page is read anew. */
async function accepted (working: Working, { rows, limit }: { rows: readonly Row[], limit: number }, accept: () => Promise<Made>): Promise<Made | 'overtaken'> {
  try {
    return await accept()
  } catch (error) {
    if (keysOf(await waiting(working, limit)) === keysOf(rows)) throw error
    return 'overtaken'
  }
}

async function waiting ({ wave, context, shopKey, variant }: Working, limit: number, from = { at: wave.after_at as number, key: wave.after_key as number }): Promise<Row[]> {
  const waveKey = wave.wave_key as number
  if (wave.signup !== null) return await context.read('waitlist_next_one', { shop_key: shopKey, variant, wave_key: waveKey, id: wave.signup as string })
  return await context.read('waitlist_next', { shop_key: shopKey, variant, wave_key: waveKey, before: wave.started_at as number, after_at: from.at, after_key: from.key, limit })
}

/** Whether there is one whom the wave could still take. */
export async function isAnybodyLeft (working: Working): Promise<boolean> {
  return (await waiting(working, 1, { at: 0, key: 0 })).length > 0
}

/** At the end it is begun from the start once more: some may have come late. */
async function again (working: Working): Promise<Page> {
  const { wave, context } = working
  if (wave.after_at === 0) return 'nobody'
  await context.commit([...turnSteps(working), { name: 'waitlist_wave_made', params: { wave_key: wave.wave_key as number, count: 0, skipped: 0, after_at: 0, after_key: 0 } }])
  return 'made'
}

function alertIdOf (row: Row): string { return `${row.id as string}/alert/${(row.alerts as number) + 1}` }

function eventOf (row: Row, data: Record<string, unknown>, { shop, context }: { shop: SourceShop, context: SourceContext }): SourceEvent & { shop: string } {
  return { shop: shop.id, id: alertIdOf(row), type: ALERT, timeAt: context.now(), data }
}

function takeSteps (wave: Row, taken: readonly Row[]): Step[] {
  const params = { wave_key: wave.wave_key as number, keys: keysOf(taken) }
  return [{ name: 'waitlist_take', params }, { name: 'waitlist_took', params: { ...params, count: taken.length } }]
}

function skipSteps (skipped: ReadonlyMap<Row, string>): Step[] {
  const groups = Map.groupBy(skipped, ([, reason]) => reason)
  return [...groups].map(([reason, those]) => ({ name: 'waitlist_pass_over', params: { reason, keys: keysOf(those.map(([row]) => row)) } }))
}

function keysOf (rows: readonly Row[]): string { return JSON.stringify(rows.map(({ signup_key: key }) => key)) }
