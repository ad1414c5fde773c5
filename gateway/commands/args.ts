// From arguments to a call that fits the table, or GW_USAGE with what was most likely meant.

import { parseArgs, type ParseArgsOptionsConfig } from 'node:util'
import { nearest } from '../errors.ts'
import { Call, type Command, type Io, type Option } from './command.ts'
import { find } from './find.ts'
import { Problem, UsageError } from './problem.ts'
import { COMMANDS, GLOBAL_OPTIONS } from './table.ts'

/** What the arguments ask for. `command` is null where they name none. */
export interface Asked { command: Command | null, rest: string[] }

/** Finds the command; options may stand before and between its words. Throws GW_USAGE where there is no such command. */
export function commandOf (argv: readonly string[]): Asked {
  const every = Object.assign({}, ...COMMANDS.map(({ options }) => options), GLOBAL_OPTIONS) as Record<string, Option>
  const { tokens } = parseArgs({ args: [...argv], options: parsable(every), strict: false, allowPositionals: true, tokens: true })
  const words = tokens.filter(token => token.kind === 'positional')
  if (asksForHelp(argv)) return helpFor(words.map(({ value }) => value), argv)
  if (words.length === 0) return { command: null, rest: [...argv] }
  const found = find(words.map(({ value }) => value))
  if ('fault' in found) throw new Problem({ code: 'GW_USAGE', message: found.fault, fix: found.fix })
  const taken = new Set(words.slice(0, found.words).map(({ index }) => index))
  const rest = argv.filter((_, at) => !taken.has(at))
  return { command: found.command, rest }
}

/** Checks the arguments of a command strictly. Throws UsageError. */
export function callOf (command: Command, rest: readonly string[], io: Io): Call {
  const { values, positionals } = strictly(command, rest)
  checkPositionals(command, positionals)
  for (const [name, option] of Object.entries(command.options)) checkOption(command, name, option, values[name])
  return new Call(io, positionals, values)
}

function strictly (command: Command, rest: readonly string[]): { values: Record<string, unknown>, positionals: string[] } {
  const options = { ...command.options, ...GLOBAL_OPTIONS }
  try {
    return parseArgs({ args: [...rest], options: parsable(options), strict: true, allowPositionals: true })
  } catch (error) {
    if (!(error instanceof TypeError) || !('code' in error)) throw error
    throw new UsageError(command, usageFault(error.code, error.message, Object.keys(options)))
  }
}

function usageFault (code: unknown, message: string, options: readonly string[]): string {
  const [said = message] = message.split(/\. |\n/)
  const [, dashes, name] = /'(--?)([^' ]+)'/.exec(said) ?? []
  if (code !== 'ERR_PARSE_ARGS_UNKNOWN_OPTION' || name === undefined) return `${said}.`
  const near = nearest(name, options)
  return `There is no option ${dashes}${name} here.${near === null ? '' : ` Did you mean "--${near}"?`}`
}

function checkPositionals (command: Command, given: readonly string[]): void {
  const least = command.positionals.filter(({ optional }) => !optional).length
  const most = command.positionals.some(({ many }) => many) ? Infinity : command.positionals.length
  const missing = command.positionals[given.length]
  if (given.length < least && missing !== undefined) throw new UsageError(command, `<${missing.name}> is missing.`)
  if (given.length > most) throw new UsageError(command, `"${given[most]}" is one argument too many.`)
}

function checkOption (command: Command, name: string, { required, integer, value }: Option, given: unknown): void {
  if (required && given === undefined) throw new UsageError(command, `--${name} <${value}> is missing.`)
  if (integer === undefined || typeof given !== 'string') return
  const { min, max } = integer
  if (/^\d{1,9}$/.test(given) && Number(given) >= min && Number(given) <= max) return
  throw new UsageError(command, `--${name} takes a whole number from ${min} to ${max}.`)
}

function parsable (options: Readonly<Record<string, Option>>): ParseArgsOptionsConfig {
  return Object.fromEntries(Object.entries(options).map(([name, { value, short }]) => {
    const type = value === undefined ? 'boolean' as const : 'string' as const
    return [name, short === undefined ? { type } : { type, short }]
  }))
}

function asksForHelp (argv: readonly string[]): boolean {
  const end = argv.indexOf('--')
  return argv.slice(0, end === -1 ? argv.length : end).some(arg => arg === '--help' || arg === '-h')
}

// Arguments after the command's name are none of help's business.
function helpFor (words: readonly string[], argv: readonly string[]): Asked {
  const command = COMMANDS.find(({ name }) => name === 'help') as Command
  const found = find(words)
  const about = 'command' in found ? found.command.name.split(' ') : words
  return { command, rest: [...about, ...argv.filter(arg => arg === '--json')] }
}
