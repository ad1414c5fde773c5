const UNITS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** Milliseconds of `500ms`, `15s`, `5m`, `24h` or `30d`; NaN for anything else. */
export function durationMs (text: string): number {
  const [, count, unit] = /^([1-9][0-9]{0,6})(ms|s|m|h|d)$/.exec(text) ?? []
  return count === undefined || unit === undefined ? Number.NaN : Number(count) * UNITS[unit]!
}
