import { Context, Liquid, defaultOperators, toValueSync } from 'liquidjs'
import type { Operators, Template } from 'liquidjs'
import { Collector } from './emitter.ts'
import { charge, FILTERS, step } from './filters.ts'
import type { Budget } from './limits.ts'

// No tag that reads files, none that keeps state, and no capture: it doubles text past every limit.
const TAGS = ['if', 'unless', 'case', 'for', 'break', 'continue', 'assign', 'comment', 'raw', 'echo', '#']

/** The names of the tags that a mapping may use. */
export const TAG_NAMES: readonly string[] = TAGS

/** What a template may use; `lenient` writes an absent value as nothing, and takes an empty one for absent in a condition. */
export interface Allowed { tags: readonly string[], filters: typeof FILTERS, lenient: boolean }

/** Liquid, fenced in so that any template may run on the main thread: no files, no code, own properties only, all of it bounded. */
export function createEngine ({ tags, filters, lenient }: Allowed = { tags: TAGS, filters: FILTERS, lenient: false }): Liquid {
  const liquid = new Liquid({
    templates: {},
    strictFilters: true,
    strictVariables: !lenient,
    lenientIf: true,
    ownPropertyOnly: true,
    jsTruthy: lenient,
    keepOutputType: true,
    parseLimit: 1e5,
    renderLimit: 50,
    memoryLimit: 1e6,
    operators: chargedOperators()
  })
  for (const name of Object.keys(liquid.tags)) if (!tags.includes(name)) delete liquid.tags[name]
  for (const name of Object.keys(liquid.filters)) delete liquid.filters[name]
  for (const [name, filter] of Object.entries(filters)) liquid.registerFilter(name, filter)
  return liquid
}

/** One rendering of a tree: every leaf starts with fresh variables and shares the limits. */
export class Rendering {
  readonly #liquid: Liquid
  readonly #context: Context
  readonly #scope: object

  constructor (liquid: Liquid, scope: object, budget: Budget) {
    this.#liquid = liquid
    this.#scope = scope
    const renderLimit = budget as unknown as Context['renderLimit']
    this.#context = new Context(scope, liquid.options, { sync: true }, { renderLimit, liquid })
  }

  leaf (templates: Template[]): unknown {
    const collector = new Collector()
    toValueSync(this.#liquid.renderer.renderTemplates(templates, this.#context.spawn(this.#scope), collector as never) as Generator<unknown>)
    return collector.buffer
  }
}

// A comparison of two long lists costs as much as they are long, and a condition may hold thousands of them.
function chargedOperators (): Operators {
  const wrapped = Object.entries(defaultOperators).map(([name, compare]) => [name, (left: unknown, right: unknown, context?: Context) => {
    const where = context ?? right as Context // `not` takes one value
    step(where)
    charge(where, left)
    if (context !== undefined) charge(where, right)
    return compare(left, right, where)
  }] as const)
  return Object.fromEntries(wrapped) as Operators
}
