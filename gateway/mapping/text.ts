import type { Liquid, Template } from 'liquidjs'
import type { CompiledText, Mapper, TextFault } from '../contract.ts'
import { MappingError, nearest } from '../errors.ts'
import { syntaxOf, whyNot } from './cause.ts'
import { beforeLinks, besideLinks } from './cut.ts'
import { textOf } from './emitter.ts'
import { createEngine, Rendering } from './engine.ts'
import { FILTERS } from './filters.ts'
import { Budget } from './limits.ts'
import { smsOf } from './sms.ts'
import { checkText, TEXT_FILTERS, TEXT_TAGS, usable } from './text-check.ts'

/** Characters of a merchant's template. */
const MAX_TEMPLATE = 2000
const MAX_KEPT = 10_000
/** A compiled template takes up to 150 bytes for each of its characters. */
const MAX_KEPT_CHARACTERS = 500_000

/**
 * Compiles the texts that merchants write. They come from outside, so they get the least of Liquid: values written,
 * conditions, and filters that only change a text. What they give is at most 1,600 characters, whatever the data holds.
 */
export function createTexts (): Mapper['text'] {
  const kept = new Kept()
  let liquid: Liquid | null = null
  return (template, variables) => {
    const key = `${variables.join()}\n${template}`
    const known = kept.get(key)
    if (known !== undefined) return known
    const compiled = compile(template, [...variables], liquid ??= textEngine())
    if ('render' in compiled) kept.set(key, compiled, template.length)
    return compiled
  }
}

function textEngine (): Liquid {
  const filters = Object.fromEntries(Object.keys(TEXT_FILTERS).map(name => [name, FILTERS[name]!]))
  const whole = { truncate: beforeLinks(FILTERS['truncate']!), truncatewords: besideLinks(FILTERS['truncatewords']!) }
  return createEngine({ tags: TEXT_TAGS, filters: { ...filters, ...whole }, lenient: true })
}

function compile (template: string, names: readonly string[], liquid: Liquid): CompiledText | { faults: TextFault[] } {
  if (template.trim() === '') return { faults: [{ offset: 0, message: 'the text is empty', fix: 'Write what the message says.' }] }
  if (template.length > MAX_TEMPLATE) {
    return { faults: [{ offset: MAX_TEMPLATE, message: `the text is ${template.length} characters long`, fix: `Shorten it to ${MAX_TEMPLATE}.` }] }
  }
  try {
    const templates = liquid.parse(template)
    const faults = checkText(templates, names)
    return faults.length > 0 ? { faults } : compiled(templates, names, liquid)
  } catch (error) {
    return { faults: [syntaxFault(error, template)] }
  }
}

function compiled (templates: Template[], names: readonly string[], liquid: Liquid): CompiledText {
  return {
    render (variables) {
      const scope = Object.fromEntries(names.map(name => [name, Object.hasOwn(variables, name) ? variables[name] : undefined]))
      return smsOf(rendered(templates, scope, liquid))
    }
  }
}

function rendered (templates: Template[], scope: object, liquid: Liquid): string {
  try {
    return textOf(new Rendering(liquid, scope, new Budget()).leaf(templates))
  } catch (error) {
    throw new MappingError(whyNot(error))
  }
}

// The parser's words are for programmers.
function syntaxFault (error: unknown, template: string): TextFault {
  const { offset, message } = syntaxOf(error, template)
  const filter = /^undefined filter: (.*)$/s.exec(message)?.[1]
  if (filter !== undefined) {
    return { offset: Math.max(offset, template.indexOf(filter, offset)), message: `there is no filter ${filter}`, fix: suggestion(filter, Object.keys(TEXT_FILTERS)) }
  }
  const tag = /^tag "(.*)" not found$/s.exec(message)?.[1]
  if (tag !== undefined) return { offset, ...unknownTag(tag) }
  if (/^output .* not closed$/s.test(message)) return { offset, message: '{{ is not closed', fix: 'Close it with }}.' }
  if (/^tag ".*" not closed$/s.test(message)) return { offset, message: '{% is not closed', fix: 'Close it with %}.' }
  const open = /^tag \{%-?\s*(\w+).* not closed$/s.exec(message)?.[1]
  if (open !== undefined) return { offset, message: `{% ${open} %} is not ended`, fix: `End it with {% end${open} %}.` }
  if (message.startsWith('unexpected "if ')) return { offset, message: 'else takes no condition', fix: 'Write {% elsif … %}.' }
  if (message.startsWith('expected "|" before filter')) return { offset, message: 'what stands here belongs to nothing', fix: 'Compare with ==; put a | before a filter.' }
  if (message.startsWith('expected ":" after filter name')) return { offset, message: 'a colon is missing after the filter\'s name', fix: 'Write it like | truncate: 40.' }
  if (message.startsWith('invalid value expression')) return { offset, message: 'no value stands here', fix: 'Write a name, a "text" or a number.' }
  return { offset, message, fix: 'Correct it, or write {{ name }} only.' }
}

function unknownTag (tag: string): Pick<TextFault, 'message' | 'fix'> {
  if (/^(else|elsif|when|end(if|unless|case))$/.test(tag)) return { message: `{% ${tag} %} belongs to no tag before it`, fix: 'Remove it, or begin with {% if … %}.' }
  return { message: `{% ${tag} %} cannot be used in a text`, fix: suggestion(tag, TEXT_TAGS) }
}

function suggestion (word: string, names: readonly string[]): string {
  const near = nearest(word, names)
  return near === null ? usable(names) : `Did you mean "${near}"?`
}

/** Compiled texts, bounded in number and size; the one that was not asked for longest goes first. */
class Kept {
  readonly #texts = new Map<string, { text: CompiledText, length: number }>()
  #characters = 0

  get (key: string): CompiledText | undefined {
    const found = this.#texts.get(key)
    if (found === undefined) return undefined
    this.#texts.delete(key)
    this.#texts.set(key, found)
    return found.text
  }

  set (key: string, text: CompiledText, length: number): void {
    this.#texts.set(key, { text, length })
    this.#characters += length
    for (const [oldest, { length }] of this.#texts) {
      if (this.#texts.size <= MAX_KEPT && this.#characters <= MAX_KEPT_CHARACTERS) return
      this.#texts.delete(oldest)
      this.#characters -= length
    }
  }
}
