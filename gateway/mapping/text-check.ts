import { CaseTag, IfTag, Output, TypeGuards, UnlessTag } from 'liquidjs'
import type { Template, Token, Value } from 'liquidjs'
import type { TextFault } from '../contract.ts'
import { nearest } from '../errors.ts'
import { pathOf, pathText } from './path.ts'

const MAX_NESTED = 4
const OPERATORS = ['==', '!=', '<', '>', '<=', '>=', 'contains', 'and', 'or']

/** The filters of a merchant's text: how many values each takes after its colon, at least and at most. */
export const TEXT_FILTERS: Record<string, readonly [least: number, most: number]> = {
  default: [1, 1],
  upcase: [0, 0],
  downcase: [0, 0],
  capitalize: [0, 0],
  strip: [0, 0],
  squish: [0, 0],
  strip_newlines: [0, 0],
  truncate: [1, 2],
  truncatewords: [1, 2],
  replace: [2, 2],
  replace_first: [2, 2],
  remove: [1, 1],
  append: [1, 1],
  prepend: [1, 1]
}

/** The tags of a merchant's text; elsif, else and when belong to them. */
export const TEXT_TAGS: readonly string[] = ['if', 'unless', 'case']

/** Every fault of a parsed text: it may write and ask for these names, and do nothing else. */
export function checkText (templates: Template[], names: readonly string[]): TextFault[] {
  const check = new TextCheck(names)
  check.all(templates, 0)
  return check.faults
}

class TextCheck {
  readonly faults: TextFault[] = []
  readonly #names: readonly string[]

  constructor (names: readonly string[]) {
    this.#names = names
  }

  all (templates: Template[], depth: number): void {
    if (depth > MAX_NESTED) return this.#fault(templates[0]?.token.begin ?? 0, `tags are nested deeper than ${MAX_NESTED} levels`, 'Nest less.')
    for (const template of templates) this.#one(template, depth)
  }

  #one (template: Template, depth: number): void {
    if (template instanceof Output) return this.#output(template)
    if (template instanceof CaseTag) return this.#case(template, depth)
    if (template instanceof IfTag || template instanceof UnlessTag) this.#if(template, depth)
  }

  #output ({ value, token }: Output): void {
    const [read] = value.initial.postfix
    if (read === undefined) return this.#fault(token.begin, 'no value stands here', 'Name one between {{ and }}.')
    const after = token.input.slice(read.end, token.end)
    if (value.initial.postfix.length > 1 || !/^\s*(\||-?\}\})/.test(after)) {
      return this.#fault(read.begin, 'more than one value stands between {{ and }}', 'Write each as {{ name }}; a filter comes after a |.')
    }
    this.#value(value)
  }

  #if (tag: IfTag | UnlessTag, depth: number): void {
    for (const { value, templates } of tag.branches) {
      this.#condition(value, tag.token.begin)
      this.all(templates, depth + 1)
    }
    this.all(tag.elseTemplates ?? [], depth + 1)
  }

  #case (tag: CaseTag, depth: number): void {
    this.#condition(tag.value, tag.token.begin)
    for (const { values, templates } of tag.branches) {
      for (const value of values) if (!isConstant(value)) this.#fault(value.begin, 'when takes texts and numbers only', 'Use if and elsif.')
      this.all(templates, depth + 1)
    }
    this.all(tag.elseTemplates, depth + 1)
  }

  // The parser takes what is left over of an expression for an expression.
  #condition (value: Value, offset: number): void {
    let operands = 0
    for (const token of value.initial.postfix) {
      if (!TypeGuards.isOperatorToken(token)) operands++
      else if (operands < (token.operator === 'not' ? 1 : 2)) operands = NaN
      else if (token.operator !== 'not') operands--
    }
    if (operands !== 1) this.#fault(value.initial.postfix[0]?.begin ?? offset, 'the condition is not complete', `Compare two values with one of ${OPERATORS.join(' ')}.`)
    this.#value(value)
  }

  #value ({ initial, filters }: Value): void {
    for (const token of initial.postfix) if (!TypeGuards.isOperatorToken(token)) this.#operand(token)
    const offset = initial.postfix[0]?.begin ?? 0
    for (const { name, args } of filters) this.#filter(name, args, offset)
  }

  #filter (name: string, args: Value['filters'][number]['args'], offset: number): void {
    const [least, most] = TEXT_FILTERS[name] ?? [0, 0]
    const values = args.filter((arg): arg is Exclude<typeof arg, unknown[]> => !Array.isArray(arg)) as Token[]
    if (args.length > values.length || values.length < least || values.length > most) {
      return this.#fault(offset, `the filter ${name} takes ${count(least, most)}`, `Write it like ${exampleOf(name)}.`)
    }
    const [first] = values
    if (name.startsWith('truncate') && !TypeGuards.isNumberToken(first)) this.#fault(first?.begin ?? offset, `the filter ${name} takes a number first`, `Write it like ${exampleOf(name)}.`)
    for (const value of values) this.#operand(value)
  }

  #operand (token: Token): void {
    if (isConstant(token)) return
    const path = pathOf(token)
    if (path === null) return this.#fault(token.begin, 'only names, texts and numbers can stand here', `Name one of: ${this.#names.join(', ')}.`)
    const [name, ...keys] = path.keys
    if (!this.#names.includes(String(name))) return this.#unknown(pathText({ ...path, keys: [String(name)] }), path.offset)
    if (keys.length > 0 && !(keys.length === 1 && keys[0] === 'size')) this.#fault(path.offset, `${name} is one value and has no parts`, `Write {{ ${name} }}.`)
  }

  #unknown (name: string, offset: number): void {
    const near = nearest(name, this.#names)
    this.#fault(offset, `there is no ${name.slice(0, 100)}`, near === null ? usable(this.#names) : `Did you mean "${near}"?`)
  }

  #fault (offset: number, message: string, fix: string): void {
    this.faults.push({ offset, message, fix })
  }
}

function isConstant (token: Token): boolean {
  return TypeGuards.isQuotedToken(token) || TypeGuards.isNumberToken(token) || TypeGuards.isLiteralToken(token)
}

function count (least: number, most: number): string {
  if (most === 0) return 'no value'
  return `${least === most ? least : `${least} or ${most}`} ${most === 1 ? 'value' : 'values'} after a colon`
}

function exampleOf (name: string): string {
  const values: Record<string, string> = { truncate: ': 40', truncatewords: ': 8', replace: ': "Size", "Sz"', replace_first: ': "Size", "Sz"' }
  return `| ${name}${values[name] ?? ((TEXT_FILTERS[name]?.[1] ?? 0) > 0 ? ': "text"' : '')}`
}

/** The remedy for a name that means nothing: those that do. */
export function usable (names: readonly string[]): string {
  return `There is: ${names.join(', ')}.`
}
