const RFC3339 = /^(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(\.\d{1,9})?(?:[Zz]|([+-])(\d\d):(\d\d))$/

/** Epoch milliseconds of a time of RFC 3339, or null where it is none. A leap second counts as the second after it. */
export function readTime (text: string): number | null {
  const match = text.length <= 40 ? RFC3339.exec(text) : null
  if (match === null) return null
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number) as [number, number, number, number, number, number]
  if (month < 1 || month > 12 || day < 1 || day > daysOf(year, month)) return null
  if (hour > 23 || minute > 59 || second > 60) return null
  const offset = offsetMinutes(match[8], match[9], match[10])
  if (offset === null) return null
  const at = Date.UTC(year, month - 1, day, hour, minute - offset, second) + Math.floor(Number(match[7] ?? 0) * 1000)
  // leap seconds are put in at midnight UTC only
  return second === 60 && at % 86_400_000 >= 1000 ? null : at
}

function daysOf (year: number, month: number): number {
  return new Date(Date.UTC(year, month, 0)).getUTCDate()
}

function offsetMinutes (sign: string | undefined, hours: string | undefined, minutes: string | undefined): number | null {
  if (sign === undefined) return 0
  if (Number(hours) > 23 || Number(minutes) > 59) return null
  return (sign === '-' ? -1 : 1) * (Number(hours) * 60 + Number(minutes))
}
