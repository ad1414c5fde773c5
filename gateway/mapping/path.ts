import { TypeGuards } from 'liquidjs'
import type { Token } from 'liquidjs'

/** A variable as it is written: its name and the keys after it; null for a key that is known only when rendering. */
export interface Path { keys: Array<string | number | null>, offset: number }

/** The path of a token that is a variable, else null. */
export function pathOf (token: Token): Path | null {
  if (!TypeGuards.isPropertyAccessToken(token) || token.variable !== undefined) return null
  const keys = token.props.map(keyOf)
  return typeof keys[0] === 'string' ? { keys, offset: token.begin } : null
}

/** As it is written in a template. */
export function pathText ({ keys }: Path): string {
  const [root, ...rest] = keys
  return `${root}${rest.map(key => typeof key === 'string' ? `.${key}` : `[${key ?? '…'}]`).join('')}`
}

function keyOf (token: Token): string | number | null {
  if (TypeGuards.isWordToken(token) || TypeGuards.isQuotedToken(token)) return token.content
  return TypeGuards.isNumberToken(token) ? token.content : null
}
