// What went wrong, for the person on standard error and, with --json, for the program on standard output.

import type { Detail, Fault } from '../contract.ts'
import { CODES, GatewayError } from '../errors.ts'
import { paint, type Io } from './command.ts'
import { usageLine } from './help.ts'
import { Problem, UsageError } from './problem.ts'
import { printable } from './text.ts'

/** Prints an error and tells the exit code it means. */
export async function report (error: unknown, io: Io): Promise<1 | 2> {
  if (isFaults(error)) return reportFaults(error, io)
  const known = knownError(error)
  if (known === null) return reportBug(error, io)
  io.stderr.write(`${line(known, io)}\n`)
  for (const detail of known.details) io.stderr.write(`  ${detailLine(detail)}\n`)
  if (known.requestId !== null) io.stderr.write(`  request ${printable(known.requestId)}\n`)
  if (error instanceof UsageError) io.stderr.write(`${usageLine(error.command)}\n`)
  const { code, message, fix, requestId, details } = known
  asJson(io, { error: { code, message, fix, request_id: requestId, details } })
  return code === 'GW_USAGE' ? 2 : 1
}

/** `/customer/phone: must be …`, with what came. */
export function detailLine ({ path, message, got }: Detail): string {
  return printable(`${path || '/'}: ${message}${got === undefined ? '' : ` (got ${JSON.stringify(got)})`}`)
}

interface Known { code: string, message: string, fix: string, requestId: string | null, details: readonly Detail[] }

function knownError (error: unknown): Known | null {
  if (error instanceof Problem) return error
  if (!(error instanceof GatewayError)) return null
  const fix = error instanceof UsageError ? `See: gateway help ${error.command.name}.` : CODES[error.code].fix
  return { code: error.code, message: error.message, fix, requestId: null, details: error.details as readonly Detail[] }
}

// By what it carries: importing its class would load the whole gateway for the sake of --help.
function isFaults (error: unknown): error is Error & { faults: readonly Fault[] } {
  return error instanceof Error && 'faults' in error && Array.isArray(error.faults)
}

async function reportFaults ({ faults }: { faults: readonly Fault[] }, io: Io): Promise<1> {
  const { faultsAsJson, formatFaults } = await import('../config/format.ts')
  io.stderr.write(`${formatFaults(faults)}\n`)
  asJson(io, { ok: false, faults: faultsAsJson(faults) })
  return 1
}

function reportBug (error: unknown, io: Io): 1 {
  const text = error instanceof Error ? error.stack ?? error.message : String(error)
  io.stderr.write(`${paint('red', 'error:', io, io.stderr)} GW_INTERNAL ${printable(text, true)}\n`)
  asJson(io, { error: { code: 'GW_INTERNAL', message: error instanceof Error ? error.message : String(error), fix: CODES.GW_INTERNAL.fix, request_id: null, details: [] } })
  return 1
}

function line ({ code, message, fix }: Known, io: Io): string {
  const said = printable(/[.?!]$/.test(message) ? message : `${message}.`)
  return `${paint('red', 'error:', io, io.stderr)} ${said} ${printable(fix)} [${printable(code)}]`
}

function asJson (io: Io, value: object): void {
  if (io.argv.includes('--json')) io.stdout.write(`${JSON.stringify(value, null, 2)}\n`)
}
