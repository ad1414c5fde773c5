import { AssignTag, CaseTag, ForTag, IfTag, Output, UnlessTag, TypeGuards } from 'liquidjs'
import type { Template, Token, Value } from 'liquidjs'
import type { Readable } from '../contract.ts'
import { nearest } from '../errors.ts'
import type { Code } from '../errors.ts'
import { factsOf, nothing, type Facts } from './facts.ts'
import { MAX_DEPTH } from './limits.ts'
import { pathOf, pathText, type Path } from './path.ts'
import { down, isNested, itemsOf, type Shape } from './shape.ts'

/** A fault of one template; `offset` counts characters from its start. */
export interface TemplateFault { code: Code, offset: number, message: string, fix: string }

/** Checks every variable of a template against what may be read: it must exist, and be there always or be asked for first. */
export function checkTemplates (templates: Template[], readable: Readable): TemplateFault[] {
  const check = new Check(readable)
  check.all(templates, nothing, 0)
  return check.faults
}

class Check {
  readonly faults: TemplateFault[] = []
  readonly #roots: Readable
  /** Names set by assign and for; null where nothing is known of the value. */
  readonly #locals = new Map<string, Shape>()

  constructor (readable: Readable) {
    this.#roots = readable
  }

  all (templates: Template[], known: Facts, depth: number): void {
    if (depth > MAX_DEPTH) return this.#fault('GW_MAPPING_SYNTAX', templates[0]?.token.begin ?? 0, `tags are nested deeper than ${MAX_DEPTH} levels`, 'Nest less.')
    for (const template of templates) this.#one(template, known, depth)
  }

  #one (template: Template, known: Facts, depth: number): void {
    if (template instanceof Output) this.#value(template.value, known, false)
    else if (template instanceof IfTag || template instanceof UnlessTag) this.#if(template, known, depth)
    else if (template instanceof CaseTag) this.#case(template, known, depth)
    else if (template instanceof ForTag) this.#for(template, known, depth)
    else this.#other(template, known)
  }

  // Each branch may read what its own condition, and the failing of those before it, has made sure of.
  #if (tag: IfTag | UnlessTag, known: Facts, depth: number): void {
    let before = known
    for (const [i, { value, templates }] of tag.branches.entries()) {
      this.#value(value, before, true)
      const facts = factsOf(value)
      const turned = tag instanceof UnlessTag && i === 0
      this.all(templates, before.with(turned ? facts.whenFalse : facts.whenTrue), depth + 1)
      before = before.with(turned ? facts.whenTrue : facts.whenFalse)
    }
    this.all(tag.elseTemplates ?? [], before, depth + 1)
  }

  #case (tag: CaseTag, known: Facts, depth: number): void {
    this.#value(tag.value, known, true)
    const path = tag.value.initial.postfix.length === 1 && tag.value.filters.length === 0 ? pathOf(tag.value.initial.postfix[0]!) : null
    for (const { values, templates } of tag.branches) {
      for (const value of values) if (!isConstant(value)) this.#fault('GW_MAPPING_SYNTAX', value.begin, 'when takes texts and numbers only', 'Use if and elsif.')
      const told = path !== null && values.every(isPlainConstant)
      this.all(templates, told ? known.with([pathText(path)]) : known, depth + 1)
    }
    this.all(tag.elseTemplates, known, depth + 1)
  }

  #for (tag: ForTag, known: Facts, depth: number): void {
    this.#tokens(tag.collection, known, false)
    for (const token of Object.values(tag.hash.hash)) if (token !== undefined) this.#tokens(token, known, false)
    const path = pathOf(tag.collection)
    const inner = path === null ? null : itemsOf(this.#shapeAt(path))
    this.#within(tag.variable, inner, () => {
      this.#within('forloop', null, () => this.all(tag.templates, known.without(tag.variable), depth + 1))
    })
    this.all(tag.elseTemplates, known, depth + 1)
  }

  #within (name: string, shape: Shape, visit: () => void): void {
    const had = this.#locals.has(name)
    const before = this.#locals.get(name) ?? null
    this.#locals.set(name, shape)
    visit()
    if (had) this.#locals.set(name, before)
    else this.#locals.delete(name)
  }

  // assign, echo and the tags without variables
  #other (tag: Template, known: Facts): void {
    let shape: Shape = null
    for (const argument of tag.arguments?.() ?? []) {
      if ('filters' in argument && !('kind' in argument)) shape = this.#value(argument as Value, known, false)
      else this.#tokens(argument as Token, known, false)
    }
    if (tag instanceof AssignTag) for (const name of tag.localScope()) this.#locals.set(name.content, shape)
  }

  /** Checks a value with its filters; tells what is known of what comes out. */
  #value (value: Value, known: Facts, condition: boolean): Shape {
    const lenient = condition || value.filters[0]?.name === 'default'
    for (const token of value.initial.postfix) this.#tokens(token, known, lenient)
    const path = value.initial.postfix.length === 1 ? pathOf(value.initial.postfix[0]!) : null
    let shape = path === null ? null : this.#shapeAt(path)
    for (const [i, filter] of value.filters.entries()) {
      for (const argument of filter.args) this.#tokens(Array.isArray(argument) ? argument[1]! : argument, known, false)
      shape = this.#filtered(shape, filter, value.filters[i + 1]?.name, value.initial.postfix[0]!.begin)
    }
    return shape
  }

  #filtered (shape: Shape, { name, args }: Value['filters'][number], next: string | undefined, offset: number): Shape {
    if (['reverse', 'sort', 'uniq', 'compact', 'slice'].includes(name)) return shape
    if (name === 'first' || name === 'last') return itemsOf(shape)
    if (name === 'join' && isNested(shape)) this.#fault('GW_MAPPING_FIELD', offset, 'joins a list of objects, which have no text', 'Pick a field first: | map: "title" | join: ", ".')
    const [key] = args
    if (name !== 'map' || !TypeGuards.isQuotedToken(key)) return null
    return this.#mapped(itemsOf(shape), key.content.split('.'), key.begin + 1, next === 'compact')
  }

  #mapped (items: Shape, keys: string[], offset: number, compacted: boolean): Shape {
    let shape = items
    for (const key of keys) {
      const step = down(shape, key)
      if (step.is === 'unknown') return this.#unknown(`an item's ${key}`, key, step.names, offset)
      if (!step.always && !compacted) {
        this.#fault('GW_MAPPING_OPTIONAL', offset, `an item's ${key} may be absent`, `Leave absent ones out: | map: "${keys.join('.')}" | compact.`)
      }
      shape = step.shape
    }
    return shape === null ? null : { schema: { type: 'array', items: shape.schema }, root: shape.root }
  }

  #tokens (token: Token, known: Facts, lenient: boolean): void {
    if (TypeGuards.isRangeToken(token)) {
      this.#tokens(token.lhs, known, false)
      this.#tokens(token.rhs, known, false)
    }
    if (!TypeGuards.isPropertyAccessToken(token)) return
    for (const prop of token.props) if (TypeGuards.isPropertyAccessToken(prop)) this.#tokens(prop, known, false)
    const path = pathOf(token)
    if (path !== null) this.#path(path, known, lenient)
  }

  #path (path: Path, known: Facts, lenient: boolean): void {
    const [root, ...keys] = path.keys
    const name = String(root)
    if (!this.#isName(name)) return void this.#unknown(name, name, [...Object.keys(this.#roots), ...this.#locals.keys()], path.offset)
    let shape = this.#rootShape(name)
    for (const [i, key] of keys.entries()) {
      if (key === null) return
      const step = down(shape, key)
      const text = pathText({ ...path, keys: path.keys.slice(0, i + 2) })
      if (step.is === 'unknown') return void this.#unknown(text, String(key), step.names, path.offset)
      if (!step.always && !lenient && !known.has(text)) return this.#optional(text, path.offset)
      shape = step.shape
    }
  }

  #shapeAt (path: Path): Shape {
    let shape = this.#rootShape(String(path.keys[0]))
    for (const key of path.keys.slice(1)) {
      const step = key === null || shape === null ? null : down(shape, key)
      shape = step?.is === 'known' ? step.shape : null
    }
    return shape
  }

  #isName (name: string): boolean {
    return this.#locals.has(name) || Object.hasOwn(this.#roots, name)
  }

  #rootShape (name: string): Shape {
    if (this.#locals.has(name)) return this.#locals.get(name)!
    const schema = Object.hasOwn(this.#roots, name) ? this.#roots[name]! : true
    return schema === true ? null : { schema, root: schema }
  }

  #unknown (text: string, word: string, names: string[], offset: number): null {
    const near = nearest(word, names)
    const choice = names.length > 0 && names.length <= 20 ? ` There is: ${names.join(', ')}.` : ''
    this.#fault('GW_MAPPING_FIELD', offset, `there is no ${text}`, near === null ? `Read a field that exists.${choice}` : `Did you mean "${near}"?`)
    return null
  }

  #optional (text: string, offset: number): void {
    this.#fault('GW_MAPPING_OPTIONAL', offset, `${text} may be absent`, `Say what an absent value sends: {{ ${text} | default: "" }}, or ask with {% if ${text} %}.`)
  }

  #fault (code: Code, offset: number, message: string, fix: string): void {
    this.faults.push({ code, offset, message, fix })
  }
}

function isConstant (token: Token): boolean {
  return TypeGuards.isQuotedToken(token) || TypeGuards.isNumberToken(token) || TypeGuards.isLiteralToken(token)
}

// An absent value equals no text and no number, but it equals nil.
function isPlainConstant (token: Token): boolean {
  return TypeGuards.isQuotedToken(token) || TypeGuards.isNumberToken(token)
}
