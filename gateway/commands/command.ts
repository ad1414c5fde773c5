// What a command is: a row of the table, and what its code is called with.

import { styleText } from 'node:util'
import { GatewayError } from '../errors.ts'

export interface Option {
  /** What stands for its value in help; an option without one is a switch. */
  value?: string
  short?: string
  summary: string
  required?: boolean
  /** The value is a whole number within these. */
  integer?: { min: number, max: number }
}

/** `many` takes one or more, `optional` none as well. */
export interface Positional { name: string, many?: boolean, optional?: boolean }

/** A row of the table. Help, parsing and the tests are made from it. */
export interface Command {
  /** One word or two. */
  name: string
  summary: string
  positionals: readonly Positional[]
  options: Readonly<Record<string, Option>>
  example: string
  /** Loads the command's code, so that a command starts with no more than it needs. */
  load (): Promise<Run>
}

export type Run = (call: Call) => Promise<Result>

/** What a command found. Printed by the caller: `value` with --json, else `text`; undefined and '' print nothing. */
export interface Result { exit: 0 | 1, value: unknown, text: string }

export interface Stream { write (text: string): unknown, isTTY?: boolean }

/** The process as commands see it. */
export interface Io {
  argv: readonly string[]
  env: Readonly<Record<string, string | undefined>>
  cwd: string
  stdout: Stream
  stderr: Stream
  /** All of standard input. */
  stdin (): Promise<string>
  /** Epoch milliseconds. */
  now (): number
  uuid (): string
  sleep (ms: number): Promise<void>
  on (signal: 'SIGTERM' | 'SIGINT' | 'SIGHUP', act: () => void): void
  /** Ends the process at once. */
  exit (code: number): void
}

/** One use of a command: its arguments, checked against the table, and the process. */
export class Call {
  readonly io: Io
  readonly positionals: readonly string[]
  readonly #values: Readonly<Record<string, unknown>>

  constructor (io: Io, positionals: readonly string[], values: Readonly<Record<string, unknown>>) {
    this.io = io
    this.positionals = positionals
    this.#values = values
  }

  /** The value of an option; undefined where it was not given. */
  text (option: string): string | undefined {
    const value = this.#values[option]
    return typeof value === 'string' ? value : undefined
  }

  integer (option: string): number | undefined {
    const text = this.text(option)
    return text === undefined ? undefined : Number(text)
  }

  flag (option: string): boolean {
    return this.#values[option] === true
  }

  /** `--x` or `--no-x`; null where neither was given. Throws GW_USAGE for both. */
  choice (option: string): boolean | null {
    const [yes, no] = [this.flag(option), this.flag(`no-${option}`)]
    if (yes && no) throw new GatewayError('GW_USAGE', `--${option} and --no-${option} exclude each other`)
    return yes || no ? yes : null
  }

  /** The config's path, relative to the working directory. */
  get file (): string {
    return this.text('config') ?? (this.io.env['GATEWAY_CONFIG'] || 'gateway.config.yaml')
  }

  get json (): boolean {
    return this.flag('json')
  }

  /** A line for the person at the terminal that is no result. */
  remark (text: string): void {
    this.io.stderr.write(`${text}\n`)
  }

  /** Colours a piece of a result, where results go to a terminal that wants colour. */
  paint (style: Style, text: string): string {
    return paint(style, text, this.io, this.io.stdout)
  }
}

export type Style = 'bold' | 'dim' | 'red' | 'green' | 'yellow'

export function paint (style: Style, text: string, { env }: Io, stream: Stream): string {
  if (stream.isTTY !== true || env['NO_COLOR']) return text
  return styleText(style, text, { validateStream: false })
}
