// Durations as provider.yaml writes them.

const UNITS: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** Milliseconds of `15s`, `24h`, …; NaN for anything else (the schema lets nothing else through). */
export function durationMs (text: string): number {
  const match = /^(\d+)(ms|s|m|h|d)$/.exec(text)
  return match === null ? Number.NaN : Number(match[1]) * (UNITS[match[2] as string] as number)
}
