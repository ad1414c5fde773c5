// The errors of the command line, besides those of the gateway.

import type { Detail } from '../contract.ts'
import { GatewayError } from '../errors.ts'
import type { Command } from './command.ts'

/** An error with a remedy of its own: the gateway's answer, whose code may be unknown to this version, or one of the command line. */
export class Problem extends Error {
  override readonly name = 'Problem'
  readonly code: string
  readonly fix: string
  readonly requestId: string | null
  readonly details: readonly Detail[]

  constructor (error: { code: string, message: string, fix: string, requestId?: string | null, details?: readonly Detail[] }) {
    super(error.message)
    this.code = error.code
    this.fix = error.fix
    this.requestId = error.requestId ?? null
    this.details = error.details ?? []
  }
}

/** Wrong usage of a command that is known: its usage line helps. */
export class UsageError extends GatewayError {
  readonly command: Command

  constructor (command: Command, message: string) {
    super('GW_USAGE', message)
    this.command = command
  }
}
