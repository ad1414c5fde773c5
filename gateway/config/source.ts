import { isMap, isScalar, isSeq, Scalar } from 'yaml'
import type { ParsedNode, YAMLMap } from 'yaml'
import type { Fault, SourceFile } from '../contract.ts'
import { CODES, type Code } from '../errors.ts'
import { below, parentOf } from './pointer.ts'
import { substitute, type Environment } from './substitute.ts'
import type { SourceText } from './text.ts'
import { MAX_DEPTH, type ParsedYaml } from './yaml.ts'

/**
 * Where a value stands, in offsets into the text. `text` is a scalar's own text, and it begins on the line
 * after `start` where `block` is set.
 */
interface Spot { key: number | null, start: number, end: number, block: boolean, text: string | null }

/** A parsed file with the place of each of its values. */
export class Source implements SourceFile {
  readonly path: string
  readonly value: unknown
  /** Faults met on the way from nodes to values. */
  readonly faults: Fault[] = []
  readonly #source: SourceText
  readonly #doc: ParsedYaml
  readonly #env: Environment | null
  readonly #spots = new Map<string, Spot>()
  readonly #private = new Set<string>()
  readonly #unresolved = new Set<string>()

  /** `env` is null where the environment is not to be substituted. */
  constructor (path: string, source: SourceText, doc: ParsedYaml, env: Environment | null) {
    this.path = path
    this.#source = source
    this.#doc = doc
    this.#env = env
    this.value = this.#build(doc.contents, '', null, 0)
  }

  fault (code: Code, pointer: string, message: string, fix: string, at: { key?: boolean, offset?: number } = {}): Fault {
    const spot = this.#nearest(pointer)
    let offset = spot.start
    if (at.key && spot.key !== null) offset = spot.key
    else if (at.offset !== undefined && this.#spots.get(pointer) === spot) offset = this.#within(spot, at.offset)
    return this.#source.fault(code, offset, pointer, message, fix)
  }

  /** No message may repeat this value: it came from the environment, or was written where a secret belongs. */
  isPrivate (pointer: string): boolean {
    return this.#private.has(pointer)
  }

  /** The value refers to a variable that is not set, so nothing more can be said about it. */
  isUnresolved (pointer: string): boolean {
    return this.#unresolved.has(pointer)
  }

  /** Lets no fault show the value at this pointer. */
  hide (pointer: string): void {
    const spot = this.#spots.get(pointer)
    if (spot === undefined) return
    this.#source.hide(spot.start, spot.end)
    this.#private.add(pointer)
  }

  /** The same fault, showing nothing that was hidden since it was made. */
  shownAgain (fault: Fault): Fault {
    return this.#source.shownAgain(fault)
  }

  #build (node: ParsedNode | null, pointer: string, key: number | null, depth: number): unknown {
    const [start, end] = node?.range ?? [key ?? 0, key ?? 0]
    const block = isScalar(node) && (node.type === Scalar.BLOCK_LITERAL || node.type === Scalar.BLOCK_FOLDED)
    this.#spots.set(pointer, { key, start, end, block, text: isScalar(node) ? written(node) : null })
    if (depth > MAX_DEPTH) return this.#tooDeep(pointer)
    if (isMap(node)) return this.#map(node, pointer, depth)
    if (isSeq(node)) return node.items.map((item, i) => this.#build(item, below(pointer, i), null, depth + 1))
    return isScalar(node) ? this.#scalar(node, pointer) : null
  }

  #map (node: YAMLMap.Parsed, pointer: string, depth: number): Record<string, unknown> {
    const value: Record<string, unknown> = {}
    for (const { key, value: child } of node.items) {
      const name = isScalar(key) ? String(key.value) : ''
      const at = key.range[0]
      const path = below(pointer, name)
      const wrong = Object.hasOwn(value, name) ? this.#twice(name, path, at) : this.#forbidden(name, path, at)
      if (wrong === null) value[name] = this.#build(child, path, at, depth + 1)
      else this.faults.push(wrong)
    }
    return value
  }

  #twice (name: string, pointer: string, offset: number): Fault {
    return this.#source.fault('GW_CONFIG_DUPLICATE', offset, pointer, `the key "${name}" stands here twice`, CODES.GW_CONFIG_DUPLICATE.fix)
  }

  #forbidden (name: string, pointer: string, offset: number): Fault | null {
    if (name !== '__proto__' && name !== '<<') return null
    const what = name === '<<' ? 'a merge key (<<) is not allowed' : 'the key "__proto__" is not allowed'
    return this.#source.fault('GW_YAML_FORBIDDEN', offset, pointer, what, 'Write the keys out, under names of their own.')
  }

  #tooDeep (pointer: string): null {
    this.faults.push(this.fault('GW_YAML_FORBIDDEN', pointer, `more than ${MAX_DEPTH} levels are not allowed`, 'Write it flatter.'))
    return null
  }

  #scalar (node: Scalar.Parsed, pointer: string): unknown {
    const before = written(node)
    if (this.#env === null || before === null || !before.includes('$')) return node.value
    const { text, bad, used } = substitute(before, this.#env)
    for (const { code, offset, message, fix } of bad) this.faults.push(this.fault(code, pointer, message, fix, { offset }))
    if (bad.length > 0) this.#unresolved.add(pointer)
    if (used) this.#private.add(pointer)
    return used && node.type === Scalar.PLAIN ? this.#typed(text) : text
  }

  // As the core schema of YAML 1.2 types a plain scalar: never as a list, a map or anything with a tag.
  #typed (text: string): unknown {
    for (const tag of this.#doc.schema.tags) {
      if (tag.collection || tag.default !== true || !tag.test?.test(text)) continue
      const value = tag.resolve?.(text, () => {}, this.#doc.options)
      return value instanceof Scalar ? value.value : value
    }
    return text
  }

  #nearest (pointer: string): Spot {
    for (let at: string | null = pointer; at !== null; at = parentOf(at)) {
      const spot = this.#spots.get(at)
      if (spot !== undefined) return spot
    }
    return { key: null, start: 0, end: 0, block: false, text: null }
  }

  // Folding and indentation change white space alone, so counting the marks between finds the place. An
  // escape would upset the count: then the start of the value has to do.
  #within (spot: Spot, offset: number): number {
    const file = this.#source.text
    const raw = file.slice(spot.start, spot.end)
    if (spot.text === null || /^".*\\|^'.*''./s.test(raw)) return spot.start
    let at = spot.block ? file.indexOf('\n', spot.start) + 1 : spot.start + (/^["']/.test(raw) ? 1 : 0)
    let marks = spot.text.slice(0, offset).replaceAll(/\s/g, '').length
    for (; at < spot.end; at++) {
      if (!/\s/.test(file[at]!) && marks-- === 0) return at
    }
    return spot.start
  }
}

// A plain scalar's text as it stands, whatever type it would have; null for what is no text.
function written (node: Scalar.Parsed): string | null {
  if (node.type === Scalar.PLAIN) return node.source
  return typeof node.value === 'string' ? node.value : null
}
