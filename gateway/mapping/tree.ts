import { MappingError } from '../errors.ts'
import type { Rendering } from './engine.ts'
import { MAX_DEPTH, type Budget } from './limits.ts'

/** One place of a compiled tree. */
export type Node =
  | { is: 'literal', value: unknown, length: number }
  | { is: 'leaf', render: Leaf }
  | { is: 'list', items: Node[] }
  | { is: 'object', members: Array<[key: string, node: Node]> }

/** What one rendering hands from leaf to leaf. */
export interface Run { scope: object, budget: Budget, rendering: () => Rendering }

/** Gives the value of one leaf; throws MappingError, its place already in the message. */
export type Leaf = (run: Run) => unknown

/** Builds the value of a tree. Literal parts are frozen and shared between renderings. */
export function renderNode (node: Node, run: Run): unknown {
  if (node.is === 'literal') {
    run.budget.spend(node.length)
    return node.value
  }
  if (node.is === 'leaf') return node.render(run)
  if (node.is === 'list') return node.items.map(item => renderNode(item, run))
  const value: Record<string, unknown> = {}
  for (const [key, member] of node.members) {
    run.budget.spend(key.length)
    value[key] = renderNode(member, run)
  }
  return value
}

/** A literal as one shared value, where nothing below it is a template. */
export function settled (node: Node): Node {
  if (node.is === 'list' && node.items.every(isLiteral)) return frozen(node.items.map(item => item.value), sum(node.items))
  if (node.is !== 'object' || !node.members.every(([, member]) => member.is === 'literal')) return node
  const members = node.members as Array<[string, Node & { is: 'literal' }]>
  const keysLength = members.reduce((total, [key]) => total + key.length, 0)
  return frozen(Object.fromEntries(members.map(([key, { value }]) => [key, value])), sum(members.map(([, member]) => member)) + keysLength)
}

function isLiteral (node: Node): node is Node & { is: 'literal' } {
  return node.is === 'literal'
}

function frozen (value: object, length: number): Node {
  return { is: 'literal', value: Object.freeze(value), length }
}

function sum (literals: Node[]): number {
  return literals.reduce((total, node) => total + (node.is === 'literal' ? node.length : 0), 0)
}

/** A copy that is JSON: absent becomes null, and what JSON has no word for is an error. */
export function toJson (value: unknown, budget: Budget, depth = 0): unknown {
  switch (typeof value) {
    case 'string':
      budget.spend(value.length)
      return value
    case 'boolean': return value
    case 'undefined': return null
    case 'number': return finite(value)
    case 'object': return value === null ? null : structure(value, budget, depth)
    default: throw new MappingError(`gives a ${typeof value}, which is no data`)
  }
}

function finite (value: number): number {
  if (!Number.isFinite(value)) throw new MappingError('gives a number without end, such as a division by zero')
  return value === 0 ? 0 : value // JSON has no -0
}

function structure (value: object, budget: Budget, depth: number): unknown {
  if (depth > MAX_DEPTH) throw new MappingError(`gives data nested deeper than ${MAX_DEPTH} levels`)
  budget.spend(2)
  if (Array.isArray(value)) return Array.from(value, item => toJson(item, budget, depth + 1))
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) throw new MappingError('gives an object that is no plain data')
  const copy: Record<string, unknown> = {}
  for (const key of Object.keys(value)) {
    if (key === '__proto__') throw new MappingError('gives an object with the key __proto__')
    budget.spend(key.length)
    copy[key] = toJson((value as Record<string, unknown>)[key], budget, depth + 1)
  }
  return copy
}
