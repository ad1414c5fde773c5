// The log: one structured line per attempt with every fact of it, no secret and no phone number.

import pino, { type Logger } from 'pino'
import type { Config } from '../contract.ts'

export type { Logger }

const FLUSH_BYTES = 4096
const PHONE = /\+\d{7,15}/g

/** Lines are gathered and written together; `flush` on the way out. */
export function createLog (level: Config['log']['level'], write: ((line: string) => void) | null = null): Logger {
  const options = { level, base: null, timestamp: pino.stdTimeFunctions.isoTime, serializers: { error: serializeError } }
  if (write) return pino(options, { write })
  const destination = pino.destination({ dest: 1, sync: false, minLength: FLUSH_BYTES, periodicFlush: 200 })
  return pino(options, destination)
}

/** Name, code, scrubbed message and stack of an error and its causes; nothing else that hangs on it. */
function serializeError (error: unknown): object {
  if (!(error instanceof Error)) return { message: scrub(String(error)) }
  const { name, code, cause } = error as Error & { code?: string }
  return { name, code, message: scrub(error.message), stack: scrub(error.stack ?? ''), ...(cause !== undefined && { cause: serializeError(cause) }) }
}

function scrub (text: string): string { return text.replace(PHONE, '+***').slice(0, 4000) }
