import type { Liquid, Template } from 'liquidjs'
import type { CompiledTree, Fault, Mapper, Readable, SourceFile } from '../contract.ts'
import { MappingError, nearest } from '../errors.ts'
import { syntaxOf, whyNot } from './cause.ts'
import { checkTemplates, type TemplateFault } from './check.ts'
import { createEngine, Rendering, TAG_NAMES } from './engine.ts'
import { FILTERS } from './filters.ts'
import { directReader } from './leaf.ts'
import { Budget, MAX_DEPTH } from './limits.ts'
import { nonGsm } from './sms.ts'
import { createTexts } from './text.ts'
import { renderNode, settled, toJson, type Leaf, type Node, type Run } from './tree.ts'

/**
 * Compiles trees whose text leaves may be Liquid templates. What a tree renders is plain JSON, within 256 KiB,
 * 20,000 steps and 50 ms; a MappingError names the leaf by file, line and key, and repeats nothing of the data.
 */
export function createMapper (): Mapper {
  const liquid = createEngine()
  return {
    compile (tree, file, pointer, readable, faults) {
      const node = new Compiler(liquid, file, readable, faults).node(tree, pointer, 0)
      return compiled(node, liquid)
    },
    text: createTexts(),
    nonGsm
  }
}

function compiled (node: Node, liquid: Liquid): CompiledTree {
  return {
    render (scope) {
      const budget = new Budget()
      let rendering: Rendering | null = null
      return renderNode(node, { scope, budget, rendering: () => rendering ??= new Rendering(liquid, scope, budget) })
    }
  }
}

class Compiler {
  readonly #liquid: Liquid
  readonly #file: SourceFile
  readonly #readable: Readable
  readonly #faults: Fault[]

  constructor (liquid: Liquid, file: SourceFile, readable: Readable, faults: Fault[]) {
    this.#liquid = liquid
    this.#file = file
    this.#readable = readable
    this.#faults = faults
  }

  node (value: unknown, pointer: string, depth: number): Node {
    if (depth > MAX_DEPTH) return this.#refuse(pointer, `nested deeper than ${MAX_DEPTH} levels`, 'Write it flatter.')
    if (typeof value === 'string') return this.#text(value, pointer)
    if (Array.isArray(value)) return settled({ is: 'list', items: value.map((item, i) => this.node(item, `${pointer}/${i}`, depth + 1)) })
    if (typeof value === 'object' && value !== null) return settled(this.#object(value, pointer, depth))
    return { is: 'literal', value: value ?? null, length: 4 }
  }

  #object (value: object, pointer: string, depth: number): Node {
    const members = Object.entries(value).map(([key, member]): [string, Node] => {
      const at = `${pointer}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`
      if (isTemplate(key) || key === '__proto__') this.#refuse(at, 'a key is no template', 'Write the key as it is to be sent.', true)
      return [key, this.node(member, at, depth + 1)]
    })
    return { is: 'object', members }
  }

  #text (text: string, pointer: string): Node {
    if (!isTemplate(text)) return { is: 'literal', value: text, length: text.length }
    const templates = this.#parse(text, pointer)
    if (templates === null) return { is: 'literal', value: null, length: 0 }
    for (const found of this.#check(templates)) this.#fault(found, pointer)
    return { is: 'leaf', render: leaf(templates, this.#place(pointer)) }
  }

  #parse (text: string, pointer: string): Template[] | null {
    try {
      return this.#liquid.parse(text)
    } catch (error) {
      this.#fault(syntaxFault(error, text), pointer)
      return null
    }
  }

  #check (templates: Template[]): TemplateFault[] {
    try {
      return checkTemplates(templates, this.#readable)
    } catch (error) {
      if (!(error instanceof RangeError)) throw error
      return [{ code: 'GW_MAPPING_SYNTAX', offset: 0, message: 'tags are nested too deep', fix: 'Nest less.' }]
    }
  }

  #place (pointer: string): string {
    const { place } = this.#file.fault('GW_MAPPING_SYNTAX', pointer, '', '')
    return `${place.file}:${place.line} ${pointer.slice(pointer.lastIndexOf('/') + 1)}`.trim()
  }

  #fault ({ code, offset, message, fix }: TemplateFault, pointer: string): void {
    this.#faults.push(this.#file.fault(code, pointer, message, fix, { offset }))
  }

  #refuse (pointer: string, message: string, fix: string, key = false): Node {
    this.#faults.push(this.#file.fault('GW_MAPPING_SYNTAX', pointer, message, fix, { key }))
    return { is: 'literal', value: null, length: 0 }
  }
}

function leaf (templates: Template[], place: string): Leaf {
  const direct = directReader(templates)
  return run => {
    try {
      return toJson(direct?.(run.scope) ?? rendered(templates, run), run.budget)
    } catch (error) {
      throw located(error, place)
    }
  }
}

function rendered (templates: Template[], { rendering }: Run): unknown {
  return rendering().leaf(templates)
}

function located (error: unknown, place: string): MappingError {
  return new MappingError(`${place}: ${whyNot(error)}`)
}

function syntaxFault (error: unknown, text: string): TemplateFault {
  const { offset, message } = syntaxOf(error, text)
  return { code: 'GW_MAPPING_SYNTAX', offset, message, fix: remedy(message) }
}

function remedy (message: string): string {
  const [, kind, name] = /^(undefined filter: |tag ")([\w-]+)/.exec(message) ?? []
  if (kind === undefined || name === undefined) return 'Correct the Liquid template.'
  const choices = kind.startsWith('tag') ? TAG_NAMES : Object.keys(FILTERS)
  const near = nearest(name, choices)
  return near === null ? `There is: ${choices.join(', ')}.` : `Did you mean "${near}"?`
}

function isTemplate (text: string): boolean {
  return text.includes('{{') || text.includes('{%')
}
