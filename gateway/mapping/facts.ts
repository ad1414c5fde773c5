import { TypeGuards } from 'liquidjs'
import type { Token, Value } from 'liquidjs'
import { pathOf, pathText } from './path.ts'

/** Variables that are certain to be there at a place in a template. */
export class Facts {
  readonly #paths: readonly string[]

  constructor (paths: readonly string[]) {
    this.#paths = paths
  }

  with (paths: readonly string[]): Facts {
    return paths.length === 0 ? this : new Facts([...this.#paths, ...paths])
  }

  /** As it is where a name gets another meaning. */
  without (name: string): Facts {
    return new Facts(this.#paths.filter(path => path !== name && !startsBelow(path, name)))
  }

  /** What is there has what is above it. */
  has (path: string): boolean {
    return this.#paths.some(known => known === path || startsBelow(known, path))
  }
}

/** Nothing is certain. */
export const nothing = new Facts([])

interface Outcome { whenTrue: string[], whenFalse: string[], token: Token | null }

/** Which variables are there when a condition holds, and which when it does not. */
export function factsOf (value: Value): { whenTrue: string[], whenFalse: string[] } {
  if (value.filters.length > 0) return { whenTrue: [], whenFalse: [] }
  const stack: Outcome[] = []
  for (const token of value.initial.postfix) stack.push(TypeGuards.isOperatorToken(token) ? combine(token.operator, stack) : operand(token))
  return stack.pop()!
}

function operand (token: Token): Outcome {
  const path = pathOf(token)
  return { whenTrue: path === null ? [] : [pathText(path)], whenFalse: [], token }
}

function combine (operator: string, stack: Outcome[]): Outcome {
  const right = stack.pop()!
  if (operator === 'not') return { whenTrue: right.whenFalse, whenFalse: right.whenTrue, token: null }
  const left = stack.pop()!
  if (operator === 'and') return { whenTrue: [...left.whenTrue, ...right.whenTrue], whenFalse: common(left.whenFalse, right.whenFalse), token: null }
  if (operator === 'or') return { whenTrue: common(left.whenTrue, right.whenTrue), whenFalse: [...left.whenFalse, ...right.whenFalse], token: null }
  return compared(operator, left, right)
}

// Only what an absent value can not satisfy says anything: x == "a" and x != nil do, x != "a" and x < 5 do not.
function compared (operator: string, left: Outcome, right: Outcome): Outcome {
  const none: Outcome = { whenTrue: [], whenFalse: [], token: null }
  const told = left.whenTrue
  const plain = TypeGuards.isQuotedToken(right.token) || TypeGuards.isNumberToken(right.token)
  if (plain && (operator === '==' || operator === 'contains')) return { ...none, whenTrue: told }
  if (!TypeGuards.isLiteralToken(right.token)) return none
  const word = right.token.getText()
  if (word === 'true' && operator === '==') return { ...none, whenTrue: told }
  if (!['nil', 'null', 'blank'].includes(word)) return none
  return operator === '!=' ? { ...none, whenTrue: told } : operator === '==' ? { ...none, whenFalse: told } : none
}

function common (left: string[], right: string[]): string[] {
  return left.filter(path => right.includes(path))
}

function startsBelow (path: string, above: string): boolean {
  return path.startsWith(`${above}.`) || path.startsWith(`${above}[`)
}
