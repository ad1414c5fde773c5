import { Composer, CST, Lexer, Parser } from 'yaml'
import type { Document, ParsedNode, YAMLError } from 'yaml'
import type { Fault } from '../contract.ts'
import { CODES } from '../errors.ts'
import type { SourceText } from './text.ts'

/** A document whose syntax is sound; keys may stand in it twice. */
export type ParsedYaml = Document.Parsed<ParsedNode>

/** Levels of a file; deeper ones are a mistake or an attack, and would exhaust the stack of whatever reads them. */
export const MAX_DEPTH = 100

const TOO_DEEP = `more than ${MAX_DEPTH} levels are not allowed`
const QUOTES = 'Put the value in quotes: YAML reads an open brace as the start of a map.'
const LIKELY_SECRET = /(?:key|secret|token|password)["']?[ \t]*:[ \t]+([^\s{[$&*!|>#][^,}\]\n]*)/gid
const FORBIDDEN: Record<string, string> = {
  alias: 'an alias (*name) is not allowed',
  anchor: 'an anchor (&name) is not allowed',
  tag: 'a tag (!name) is not allowed',
  'directive-line': 'a directive (%) is not allowed'
}

/** Parses one strict YAML 1.2 document. `doc` is null where what it says cannot be told for sure. */
export function parseYaml (source: SourceText): { doc: ParsedYaml | null, faults: Fault[] } {
  const { doc, faults } = parse(source)
  if (faults.length === 0) return { doc, faults }
  hideLikelySecrets(source)
  return { doc: null, faults: faults.map(fault => source.shownAgain(fault)) }
}

function parse (source: SourceText): { doc: ParsedYaml | null, faults: Fault[] } {
  const { faults, tooDeep } = forbidden(source)
  if (tooDeep) return { doc: null, faults }
  const [doc, second] = compose(source.text)
  if (second !== undefined) faults.push(refused(source, second.range[0], 'a second document is not allowed'))
  for (const error of doc === undefined ? [] : [...doc.errors, ...doc.warnings]) {
    // What follows a fault on its line is most often its consequence, and so is all the rest of the
    // file once the parser has lost its place.
    if (faults.length > 0 && error.message.includes('token in YAML stream')) break
    const fault = syntaxFault(source, error)
    if (!faults.some(({ place }) => place.line === fault.place.line)) faults.push(fault)
  }
  return { doc: doc ?? null, faults }
}

// Keys are compared where the values are built, which knows the better place of each.
function compose (text: string): ParsedYaml[] {
  const composer = new Composer({ version: '1.2', schema: 'core', merge: false, strict: true, uniqueKeys: false, stringKeys: true, logLevel: 'silent' })
  return [...composer.compose(new Parser().parse(text), true, text.length)] as ParsedYaml[]
}

// What the lexer alone can see: it tells a `*` in a text from an alias. Depth is found here too, since the
// composer calls itself for each level.
function forbidden (source: SourceText): { faults: Fault[], tooDeep: boolean } {
  const faults: Fault[] = []
  let flow = 0
  let inLine = 0
  for (const { type, offset } of tokens(source.text)) {
    const what = FORBIDDEN[type]
    if (what !== undefined) faults.push(refused(source, offset, what))
    if (type === 'flow-map-start' || type === 'flow-seq-start') flow++
    if (type === 'flow-map-end' || type === 'flow-seq-end') flow--
    if (type === 'newline') inLine = 0
    if (type === 'seq-item-ind' || type === 'explicit-key-ind') inLine++
    if (flow + inLine > MAX_DEPTH) return { faults: [...faults, refused(source, offset, TOO_DEEP, 'Write it flatter.')], tooDeep: true }
  }
  return { faults, tooDeep: false }
}

// A scalar comes as two tokens: a mark of no length, then its text, which must not be looked at.
function * tokens (text: string): Generator<{ type: string, offset: number }> {
  let offset = 0
  let scalar = false
  for (const token of new Lexer().lex(text)) {
    const type: string = scalar ? 'text' : CST.tokenType(token) ?? 'error'
    yield { type, offset }
    scalar = type === 'scalar'
    if (!['scalar', 'doc-mode', 'flow-error-end'].includes(type)) offset += token.length
  }
}

// Which values are secrets is known only from a file that can be read; until then their names have to do.
function hideLikelySecrets (source: SourceText): void {
  for (const { indices } of source.text.matchAll(LIKELY_SECRET)) {
    const [from, to] = indices?.[1] ?? [0, 0]
    source.hide(from, to)
  }
}

function refused (source: SourceText, offset: number, what: string, fix: string = CODES.GW_YAML_FORBIDDEN.fix): Fault {
  return source.fault('GW_YAML_FORBIDDEN', offset, '', what, fix)
}

function syntaxFault (source: SourceText, error: YAMLError): Fault {
  const [offset] = error.pos
  if (error.code === 'RESOURCE_EXHAUSTION') return refused(source, offset, TOO_DEEP, 'Write it flatter.')
  const line = source.lineAt(offset)
  const fix = line.includes('${') || line.includes('{{') ? QUOTES : CODES.GW_YAML_SYNTAX.fix
  return source.fault('GW_YAML_SYNTAX', offset, '', `this cannot be read as YAML: ${said(error)}`, fix)
}

function said (error: YAMLError): string {
  if (error.code === 'NON_STRING_KEY') return 'a key must be a word, not a map or a list'
  return error.message.charAt(0).toLowerCase() + error.message.slice(1).replace(/[.:]?\s*$/, '')
}
