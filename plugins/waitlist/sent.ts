// What became of the alerts of a wave: who was told, who is skipped for good, and who waits again.

import type { Row, Step } from '../../gateway/define.ts'
import { reminderAfterMs, settingsOf } from './settings.ts'
import { turnSteps, type Working } from './wave.ts'

const SLICE = 500
/** Slices looked through in one go; the next one goes on from there. */
const SLICES = 10
/** Times of alerts are kept to the second, so that those of a second are written together. */
const TOGETHER_MS = 1000
/** Nobody was told, and the person is not the cause: they are told at the next occasion. */
const RETURNING = /^(sold_out|wave_stopped|monthly_limit|shop_inactive|shop_uninstalled|expired.*)$/
const STATE = { delivered: 3, unknown: 4 } as const

export type Fate = { is: 'open' } | { is: 'told', at: number } | { is: 'skipped', reason: string } | { is: 'returned', reason: string }

/** By all messages of its event, as `message_ends` gives them. One that may have been sent was sent. */
export function fateOf (messages: readonly Row[]): Fate {
  const told = messages.find(({ state, finished_at: at }) => at !== null && (state === STATE.delivered || state === STATE.unknown))
  if (told !== undefined) return { is: 'told', at: told.finished_at as number }
  if (messages.some(({ finished_at: at }) => at === null)) return { is: 'open' }
  const last = messages.at(-1)
  if (last === undefined) return { is: 'skipped', reason: 'expired' } // forgotten since: nobody knows, and nobody is told twice
  const reason = last.reason as string
  return { is: RETURNING.test(reason) ? 'returned' : 'skipped', reason }
}

/** Looks through those whose alerts are open, on from where it was last; true as soon as anything was found out. */
export async function lookAgain (working: Working): Promise<boolean> {
  const { wave, context, seen } = working
  const waveKey = wave.wave_key as number
  for (let slices = 0; slices < SLICES; slices++) {
    const from = seen.get(waveKey) ?? 0
    const rows = await context.read('waitlist_pending', { wave_key: waveKey, after_key: from, limit: SLICE })
    seen.set(waveKey, rows.length < SLICE ? 0 : rows.at(-1)?.signup_key as number)
    if (rows.length > 0 && await settle(working, rows)) return true
    if (rows.length < SLICE && (from === 0 || slices > 0)) return false
  }
  return false
}

async function settle (working: Working, rows: readonly Row[]): Promise<boolean> {
  const { wave, context, shopKey } = working
  await takeBack(working, rows)
  const ids = JSON.stringify(rows.map(({ alert_id: id }) => id))
  const ends = Map.groupBy(await context.read('message_ends', { shop_key: shopKey, source_ids: ids }), ({ source_id: id }) => id)
  const fates = rows.map(row => ({ key: row.signup_key as number, fate: fateOf(ends.get(row.alert_id as string) ?? []) })).filter(({ fate }) => fate.is !== 'open')
  if (fates.length === 0) return false
  const remindAfterMs = reminderAfterMs(await settingsOf(context, shopKey))
  const count = (is: Fate['is']): number => fates.filter(({ fate }) => fate.is === is).length
  await context.commit([
    ...turnSteps(working),
    ...stepsOf(wave, fates, remindAfterMs),
    { name: 'waitlist_wave_seen', params: { wave_key: wave.wave_key as number, alerted: count('told'), skipped: count('skipped'), returned: count('returned') } }
  ])
  return true
}

/** Of a wave that has ended nothing more is sent, nor to those who were removed meanwhile. */
async function takeBack ({ wave, context, shopKey }: Working, rows: readonly Row[]): Promise<void> {
  const of = (those: readonly Row[]): string[] => those.map(({ alert_id: id }) => id as string)
  if (wave.state === 2) await context.withdraw(shopKey, of(rows), wave.reason === 'sold_out' ? 'sold_out' : 'wave_stopped')
  const removed = of(rows.filter(({ state }) => state !== 2))
  if (removed.length > 0) await context.withdraw(shopKey, removed, 'unsubscribed')
}

/** One statement for those who met the same fate. */
function stepsOf (wave: Row, fates: ReadonlyArray<{ key: number, fate: Fate }>, remindAfterMs: number | null): Step[] {
  const groups = Map.groupBy(fates, ({ fate }) => fate.is === 'told' ? `told ${Math.floor(fate.at / TOGETHER_MS)}` : JSON.stringify(fate))
  return [...groups.values()].map(those => {
    const { fate } = those[0] as { fate: Fate }
    const params = { wave_key: wave.wave_key as number, keys: JSON.stringify(those.map(({ key }) => key)) }
    switch (fate.is) {
      case 'told': return { name: 'waitlist_told', params: { ...params, alerted_at: fate.at, remind_at: remindAfterMs === null ? null : fate.at + remindAfterMs } }
      case 'skipped': return { name: 'waitlist_skip', params: { ...params, reason: fate.reason } }
      case 'returned': return { name: 'waitlist_return', params: { ...params, reason: fate.reason } }
      case 'open': throw new Error('it is open')
    }
  })
}
