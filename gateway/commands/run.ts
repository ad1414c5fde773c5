// One use of the command line: finds the command, runs it, prints what it found, tells the exit code.

import { GatewayError } from '../errors.ts'
import { callOf, commandOf } from './args.ts'
import type { Call, Command, Io, Result } from './command.ts'
import { overview } from './help.ts'
import { UsageError } from './problem.ts'
import { report } from './report.ts'
import { COMMANDS } from './table.ts'

/** Exit codes: 0 fine, 1 a problem was found or the action failed, 2 wrong usage. Never throws. */
export async function run (io: Io, version: () => string): Promise<0 | 1 | 2> {
  try {
    return await attempt(io, version)
  } catch (error) {
    return report(error, io)
  }
}

async function attempt (io: Io, version: () => string): Promise<0 | 1 | 2> {
  const { argv } = io
  if (argv.includes('--version') && argv.every(arg => arg === '--version' || arg === '--json')) return print(io, argv.includes('--json'), { exit: 0, value: { version: version() }, text: version() })
  const { command, rest } = commandOf(argv)
  if (command === null) {
    io.stderr.write(`${overview(COMMANDS)}\n`)
    return 2
  }
  const call = callOf(command, rest, io)
  return print(io, call.json, await act(command, call))
}

async function act (command: Command, call: Call): Promise<Result> {
  const run = await command.load()
  try {
    return await run(call)
  } catch (error) {
    if (error instanceof GatewayError && error.code === 'GW_USAGE') throw new UsageError(command, error.message)
    throw error
  }
}

function print (io: Io, json: boolean, { exit, value, text }: Result): 0 | 1 {
  const shown = json ? JSON.stringify(value, null, 2) : text
  if (shown !== undefined && shown !== '') io.stdout.write(`${shown}\n`)
  return exit
}
