// When a delivery is tried again.

/** A request that may have arrived is not repeated sooner than this. */
export const MIN_AFTER_UNKNOWN_MS = 60_000
const MAX_RETRY_AFTER_MS = 24 * 3_600_000
/** "0" would ask for a tight loop. */
const MIN_RETRY_AFTER_MS = 1000
const UNREADABLE_RETRY_AFTER_MS = 60_000
const RATE_LIMIT_FIRST_MS = 60_000
const RATE_LIMIT_CAP_MS = 3_600_000
const SPREAD = 0.2

/** ±20 %, so that what failed together does not come back together. */
export function spread (ms: number, random: number): number {
  return Math.round(ms * (1 - SPREAD + 2 * SPREAD * random))
}

/** The wait before attempt `attempts + 1`, after `attempts` paid ones; the schedule's last wait repeats. */
export function retryAfterMs (schedule: readonly number[], attempts: number, random: number): number {
  const at = Math.min(Math.max(attempts, 1), schedule.length) - 1
  return spread(schedule[at] as number, random)
}

/**
 * `Retry-After` in seconds or as an HTTP date, honoured up to 24 h. Null where there is none;
 * 60 s where it cannot be read or names a time that has passed.
 */
export function retryAfterHeaderMs (header: string | undefined, now: number): number | null {
  if (header === undefined) return null
  const text = header.split(',')[0]?.trim() ?? ''
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : /^[A-Za-z]{3,9}, /.test(header) ? Date.parse(header) - now : NaN
  if (!Number.isFinite(ms) || ms < 0) return UNREADABLE_RETRY_AFTER_MS
  return Math.min(Math.max(ms, MIN_RETRY_AFTER_MS), MAX_RETRY_AFTER_MS)
}

/** A 429 that names no time: 60 s, doubled by each one after it, at most an hour. */
export function rateLimitBackoffMs (times: number, random: number): number {
  return spread(Math.min(RATE_LIMIT_FIRST_MS * 2 ** times, RATE_LIMIT_CAP_MS), random)
}
