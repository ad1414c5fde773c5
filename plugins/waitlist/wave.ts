// Works on the waves of a variant, oldest first: makes alerts no further ahead than a few minutes of what the provider takes,
// finds out what became of them, and ends. Each unit changes the wave's `turn`, so that nothing is built on what is no more.

import { setImmediate } from 'node:timers/promises'
import type { Row, SourceContext, SourceJob, Step } from '../../gateway/define.ts'
import { isAnybodyLeft, makePage } from './page.ts'
import { batchesOf, settingsOf } from './settings.ts'
import { variantOf } from './stock.ts'
import { lookAgain } from './sent.ts'

export const ALERT = 'back_in_stock.alert'
/** One run goes on for so long while there is something to do, and is soon due again. */
const RUN_MS = 2000
/** Between looks at a wave in which nothing moves: twice as long each time. */
const FIRST_MS = 500
const LAST_MS = 60_000
const OPEN_MAX = 50

/** A wave, read at the beginning of a unit. `seen`: up to where each wave's open alerts were looked through. */
export interface Working { wave: Row, context: SourceContext, shopKey: number, variant: string, seen: Map<number, number> }

/** Steps that begin a unit of a wave: it fails as a whole where the wave has changed, or is not in that state any more. */
export function turnSteps ({ wave, context }: Pick<Working, 'wave' | 'context'>): Step[] {
  const next = context.newId('turn_')
  return [
    { name: 'waitlist_wave_turn', params: { wave_key: wave.wave_key as number, turn: wave.turn as string, next_turn: next, state: wave.state as number } },
    { name: 'waitlist_wave_turned', params: { wave_key: wave.wave_key as number, next_turn: next } }
  ]
}

interface Cursor { idle: number, seen: Array<[number, number]> }

export async function runWaves (job: SourceJob, context: SourceContext): Promise<{ afterMs: number, cursor: string | null } | null> {
  const { shopKey, variant } = variantOf(job.uniqueKey)
  const before: Cursor = job.cursor === null ? { idle: 0, seen: [] } : JSON.parse(job.cursor) as Cursor
  const seen = new Map(before.seen)
  const stopsAt = context.mono() + RUN_MS
  let idle = before.idle + 1
  for (;;) {
    const waves = await context.read('waitlist_waves_open', { shop_key: shopKey, variant, limit: OPEN_MAX })
    if (waves.length === 0) return null
    const moved = await advanceFirst(waves.map(wave => ({ wave, context, shopKey, variant, seen })))
    if (moved) idle = 0
    const late = context.mono() > stopsAt
    if (!moved || late) return { afterMs: late ? 0 : restMs(waves, idle, context.now()), cursor: JSON.stringify({ idle, seen: [...seen].filter(([, key]) => key > 0) } satisfies Cursor) }
    await setImmediate() // others have their turn
  }
}

/** An older wave goes before a newer one: those who wait for it again are the oldest. */
async function advanceFirst (waves: readonly Working[]): Promise<boolean> {
  for (const working of waves) if (await advance(working).catch(error => overtaken(working, error))) return true
  return false
}

/** A unit that was built on what is no more is built anew. */
async function overtaken ({ wave, context, shopKey }: Working, error: unknown): Promise<true> {
  const [now] = await context.read('waitlist_wave_by_id', { shop_key: shopKey, id: wave.id as string })
  if (now !== undefined && now.turn === wave.turn && now.state === wave.state) throw error
  return true
}

function restMs (waves: readonly Row[], idle: number, now: number): number {
  const batches = waves.flatMap(({ state, next_batch_at: at }) => state === 1 && at !== null && (at as number) > now ? [(at as number) - now] : [])
  return Math.min(FIRST_MS * 2 ** Math.min(idle, 10), LAST_MS, ...batches)
}

/** One step of a wave; false where there was nothing to do. */
async function advance (working: Working): Promise<boolean> {
  if (working.wave.state === 2) return await end(working)
  if (!await lookAgain(working)) return await make(working)
  // What was read of the wave is no more; that something was found out holds nothing up that is to be made.
  const [wave] = await working.context.read('waitlist_wave_by_id', { shop_key: working.shopKey, id: working.wave.id as string })
  if (wave?.state === 1) await make({ ...working, wave })
  return true
}

/** What is not sent yet is taken back, and those who wait for it wait again. */
async function end (working: Working): Promise<boolean> {
  const { wave, context } = working
  if (await lookAgain(working)) return true
  if (await isPending(working)) return false
  await context.commit([{ name: 'waitlist_wave_settle', params: { wave_key: wave.wave_key as number } }])
  return true
}

async function isPending ({ wave, context }: Working): Promise<boolean> {
  return (await context.read('waitlist_pending', { wave_key: wave.wave_key as number, after_key: 0, limit: 1 })).length > 0
}

async function make (working: Working): Promise<boolean> {
  const { wave, context, shopKey } = working
  const shop = await context.shopByKey(shopKey)
  if (shop === null) return await finish(working, 'stopped')
  const { room, provider, held } = await context.ahead(shopKey, ALERT)
  if (provider === null || held !== null || room < 1) return false
  const settings = await settingsOf(context, shopKey)
  const batches = wave.kind === 'manual' ? null : batchesOf(settings, shop)
  if (batches === null && wave.batch_size !== null) {
    await context.commit([...turnSteps(working), { name: 'waitlist_unbatch', params: { wave_key: wave.wave_key as number } }])
    return true
  }
  const places = batches === null ? Infinity : placesOf(wave)
  if (batches !== null && places < 1) {
    if ((wave.next_batch_at as number | null ?? 0) > context.now()) return await isAnybodyLeft(working) ? false : await finish(working, 'done')
    await context.commit([...turnSteps(working), { name: 'waitlist_batch', params: { wave_key: wave.wave_key as number, multiplier: batches.multiplier, next_batch_at: context.now() + batches.intervalMs } }])
    return true
  }
  const made = await makePage(working, { shop, most: Math.min(room, places) })
  if (made === 'nobody') return await finish(working, 'done')
  return made === 'made'
}

/** Places of the batch that nobody has; who is finally skipped has given theirs back. */
export function placesOf ({ batch_size: size, batch_made: made, batch_freed: freed }: Row): number {
  return size === null ? 0 : (size as number) - (made as number) + (freed as number)
}

/** Nobody waits any more. What was made is looked after until it is known what became of it. */
async function finish (working: Working, reason: string): Promise<boolean> {
  const { wave, context } = working
  if (reason === 'done' && await isPending(working)) return false
  await context.commit([...turnSteps(working), { name: 'waitlist_wave_end', params: { wave_key: wave.wave_key as number, reason, now: context.now() } }])
  return true
}
