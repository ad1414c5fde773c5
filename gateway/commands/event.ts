// The event that --data or --example gives a command.

import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { GatewayError } from '../errors.ts'
import type { EventSchema } from '../events/schemas.ts'
import type { Call } from './command.ts'

/** What was given: data alone, or a whole event of the same names as CloudEvents has. */
export interface Given { data: unknown, id?: string, source?: string, shop?: string, time?: string }

/** Where events made by the command line say they come from. */
export const SOURCE = '/cli'

/** What --data names; null where it was not given. Throws GW_JSON, GW_FILE_MISSING, GW_FILE_UNREADABLE, GW_USAGE. */
export async function givenData (call: Call, type: string): Promise<Given | null> {
  const file = call.text('data')
  if (file === undefined) return null
  if (call.text('example') !== undefined) throw new GatewayError('GW_USAGE', '--data and --example exclude each other.')
  const value = parse(file === '-' ? await call.io.stdin() : await read(call, file), file)
  if (!isEvent(value)) return { data: value }
  if (value['type'] !== type) throw new GatewayError('GW_USAGE', `The event in --data is of type ${JSON.stringify(value['type'])}, not "${type}"`)
  const given: Given = { data: value['data'] }
  for (const name of ['id', 'source', 'shop', 'time'] as const) {
    const attribute = value[name]
    if (typeof attribute === 'string') given[name] = attribute
  }
  return given
}

/** The n-th example of a schema. Throws GW_NOT_FOUND where it has fewer. */
export function exampleData ({ type, examples }: EventSchema, n: number): unknown {
  if (n < examples.length) return examples[n]
  throw new GatewayError('GW_NOT_FOUND', `The schema of ${type} has ${examples.length} example(s), counted from 0`)
}

async function read (call: Call, file: string): Promise<string> {
  try {
    return await readFile(resolve(call.io.cwd, file), 'utf8')
  } catch (error) {
    const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT'
    if (missing) throw new GatewayError('GW_FILE_MISSING', `${file} does not exist`)
    throw new GatewayError('GW_FILE_UNREADABLE', `${file} cannot be read`, { cause: error })
  }
}

function parse (text: string, file: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new GatewayError('GW_JSON', `${file === '-' ? 'Standard input' : file} is no JSON: ${(error as Error).message}`)
  }
}

// Only a CloudEvent says its specversion; the data of an event type may well have a `type` or a `data` of its own.
function isEvent (value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && 'specversion' in value && 'data' in value
}
