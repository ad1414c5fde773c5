// What a question costs in points, by the published rule: an object one, a connection as many as it may give, a scalar nothing.

import { getNamedType, isAbstractType, isLeafType, Kind, type DocumentNode, type FieldNode, type FragmentDefinitionNode, type GraphQLNamedType, type GraphQLSchema, type SelectionSetNode } from 'graphql'

const MUTATION_POINTS = 10
const PAGE = 50

export function costOf (document: DocumentNode, schema: GraphQLSchema, variables: Record<string, unknown>): number {
  const fragments = new Map(document.definitions.flatMap(node => node.kind === Kind.FRAGMENT_DEFINITION ? [[node.name.value, node] as const] : []))
  const [operation] = document.definitions.flatMap(node => node.kind === Kind.OPERATION_DEFINITION ? [node] : [])
  if (operation === undefined) return 0
  const changes = operation.operation === 'mutation'
  const root = changes ? schema.getMutationType() : schema.getQueryType()
  return (changes ? MUTATION_POINTS : 0) + (root ? ofSelection(operation.selectionSet, root, { schema, variables, fragments }) : 0)
}

interface Scope { schema: GraphQLSchema, variables: Record<string, unknown>, fragments: ReadonlyMap<string, FragmentDefinitionNode> }

function ofSelection (set: SelectionSetNode, type: GraphQLNamedType, scope: Scope): number {
  let [own, dearest] = [0, 0]
  for (const node of set.selections) {
    if (node.kind === Kind.FIELD) { own += ofField(node, type, scope); continue }
    const fragment = node.kind === Kind.INLINE_FRAGMENT ? node : scope.fragments.get(node.name.value)
    const on = fragment?.typeCondition === undefined ? type : scope.schema.getType(fragment.typeCondition.name.value)
    if (fragment !== undefined && on !== undefined) dearest = Math.max(dearest, ofSelection(fragment.selectionSet, on, scope))
  }
  return own + dearest
}

function ofField (field: FieldNode, parent: GraphQLNamedType, scope: Scope): number {
  if (!('getFields' in parent)) return 0
  const declared = parent.getFields()[field.name.value]
  if (declared === undefined) return 0
  const type = getNamedType(declared.type)
  if (isLeafType(type) || field.selectionSet === undefined || !('type' in declared)) return 0
  const below = ofSelection(field.selectionSet, type, scope)
  if (type.name === 'PageInfo') return 0
  if (field.name.value === 'nodes' && isAbstractType(type)) return lengthOf(field, 'ids', scope) * (1 + below)
  if (type.name.endsWith('Connection')) return 1 + numberOf(field, 'first', scope) * below
  return 1 + below
}

function valueOf (field: FieldNode, name: string, { variables }: Scope): unknown {
  const value = field.arguments?.find(argument => argument.name.value === name)?.value
  if (value === undefined) return undefined
  if (value.kind === Kind.VARIABLE) return variables[value.name.value]
  return value.kind === Kind.INT ? Number(value.value) : value.kind === Kind.LIST ? value.values : undefined
}

function lengthOf (field: FieldNode, name: string, scope: Scope): number {
  const value = valueOf(field, name, scope)
  return Array.isArray(value) ? value.length : 1
}

function numberOf (field: FieldNode, name: string, scope: Scope): number {
  const value = valueOf(field, name, scope)
  return typeof value === 'number' ? value : PAGE
}
