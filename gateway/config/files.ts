import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'
import { dirname, isAbsolute, relative, resolve, sep } from 'node:path'
import type { Fault, Files, JsonSchema, SourceFile } from '../contract.ts'
import { CODES, type Code } from '../errors.ts'
import { checkSchema } from './check.ts'
import { byPlace } from './format.ts'
import { Source } from './source.ts'
import type { Environment } from './substitute.ts'
import { SourceText } from './text.ts'
import { parseYaml } from './yaml.ts'

/** Bytes of a file that is written by hand; a larger one is not meant for us. */
const MAX_BYTES = 1024 * 1024

/** Faults told of one file; who has more than that to mend starts with these. */
const MAX_FAULTS = 100

/** Reads and checks the platform team's files. Nothing of it throws for what a file contains. */
export function createFiles ({ cwd, env }: { cwd: string, env: Environment }): Files {
  return {
    read (path, options = {}) {
      const absolute = resolve(cwd, path)
      const shown = shownAs(cwd, absolute)
      const found = readText(absolute)
      if (typeof found !== 'string') return { file: null, faults: [unread(found, shown)] }
      return parse(absolute, new SourceText(shown, found), options.substitute ? env : null)
    },
    check (file, schema) {
      return check(file, schema)
    },
    text (path, from) {
      const absolute = resolve(dirname(from.file.path), path)
      const found = readText(absolute)
      if (typeof found === 'string') return { text: found, faults: [] }
      const message = `${shownAs(cwd, absolute)} ${found.why}`
      return { text: null, faults: [from.file.fault(found.code, from.pointer, message, CODES[found.code].fix)] }
    }
  }
}

function parse (path: string, source: SourceText, env: Environment | null): { file: Source | null, faults: Fault[] } {
  const { doc, faults } = parseYaml(source)
  if (doc === null) return { file: null, faults: told(faults) }
  const file = new Source(path, source, doc, env)
  const sound = !file.faults.some(fault => fault.code === 'GW_YAML_FORBIDDEN')
  return { file: sound ? file : null, faults: told([...faults, ...file.faults]) }
}

function check (file: SourceFile, schema: JsonSchema): Fault[] {
  if (!(file instanceof Source)) throw new TypeError('only a file that was read here can be checked')
  return told(checkSchema(file, schema))
}

function told (faults: Fault[]): Fault[] {
  return faults.toSorted(byPlace).slice(0, MAX_FAULTS)
}

function shownAs (cwd: string, absolute: string): string {
  const path = relative(cwd, absolute)
  return path === '' || path.startsWith('..') || isAbsolute(path) ? absolute : path.split(sep).join('/')
}

function unread (found: Unread, file: string): Fault {
  return { code: found.code, place: { file, line: 1, column: 1 }, path: '', message: `the file ${found.why}`, fix: CODES[found.code].fix }
}

interface Unread { code: Code, why: string }

// By descriptor, so that what was looked at is what is read; non-blocking, so that a pipe cannot hold the start.
function readText (path: string): string | Unread {
  let descriptor: number | null = null
  try {
    descriptor = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0))
    const stat = fstatSync(descriptor)
    if (!stat.isFile()) return { code: 'GW_FILE_UNREADABLE', why: 'is no regular file' }
    if (stat.size > MAX_BYTES) return { code: 'GW_FILE_UNREADABLE', why: 'is larger than 1 MiB' }
    return decode(readAll(descriptor))
  } catch (error) {
    return unreadable(error)
  } finally {
    if (descriptor !== null) closeSync(descriptor)
  }
}

function readAll (descriptor: number): Buffer {
  const buffer = Buffer.alloc(MAX_BYTES)
  let length = 0
  for (;;) {
    const read = readSync(descriptor, buffer, length, buffer.length - length, null)
    length += read
    if (read === 0 || length === buffer.length) return buffer.subarray(0, length)
  }
}

function decode (bytes: Buffer): string | Unread {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    return { code: 'GW_FILE_UNREADABLE', why: 'is not UTF-8' }
  }
}

function unreadable (error: unknown): Unread {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  if (code === 'ENOENT' || code === 'ENOTDIR') return { code: 'GW_FILE_MISSING', why: 'does not exist' }
  return { code: 'GW_FILE_UNREADABLE', why: `cannot be read (${code || String(error)})` }
}
