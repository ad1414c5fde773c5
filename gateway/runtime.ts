// The real clock and the real dice. Everything else gets them as an argument.

import { randomFillSync } from 'node:crypto'
import type { Runtime } from './contract.ts'

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

/** UUIDv7 (RFC 9562): 48 bits of milliseconds, 74 random bits; made from a pool, since each costs a system call else. */
function uuidMaker (now: () => number): () => string {
  const pool = Buffer.alloc(1024 * 10)
  let at = pool.length
  return () => {
    if (at === pool.length) { randomFillSync(pool); at = 0 }
    const ms = now()
    const hex = (offset: number) => HEX[pool[at + offset] as number] as string
    const time = ms.toString(16).padStart(12, '0')
    const version = HEX[((pool[at] as number) & 0x0f) | 0x70] as string
    const variant = HEX[((pool[at + 2] as number) & 0x3f) | 0x80] as string
    const id = `${time.slice(0, 8)}-${time.slice(8)}-${version}${hex(1)}-${variant}${hex(3)}-${hex(4)}${hex(5)}${hex(6)}${hex(7)}${hex(8)}${hex(9)}`
    at += 10
    return id
  }
}

export function systemRuntime (): Runtime {
  const now = Date.now
  const uuid = uuidMaker(now)
  return { now, mono: () => performance.now(), random: Math.random, id: prefix => prefix + uuid() }
}
