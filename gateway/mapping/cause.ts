import { AssertionError, LiquidError, UndefinedVariableError } from 'liquidjs'
import { MappingError } from '../errors.ts'

/** What went wrong at the bottom: the engine wraps an error once for each tag around it. */
export function causeOf (error: unknown): unknown {
  let at = error
  while (!(at instanceof UndefinedVariableError) && LiquidError.is(at) && at.originalError !== undefined) at = at.originalError
  return at
}

/** Why a template gave nothing. Messages of the engine may quote data (a key, a value a filter choked on): only the template is quoted. */
export function whyNot (error: unknown): string {
  const cause = causeOf(error)
  if (cause instanceof MappingError) return cause.message
  if (cause instanceof UndefinedVariableError) return `${cause.token.getText()} is absent`
  if (cause instanceof AssertionError && cause.message === 'memory alloc limit exceeded') return 'takes too much memory'
  return 'could not be rendered'
}

/** What the parser says of a template, without its own line and column, and the offset it says it of. */
export function syntaxOf (error: unknown, template: string): { offset: number, message: string } {
  const offset = LiquidError.is(error) ? Math.min(error.token.begin, Math.max(template.length - 1, 0)) : 0
  const cause = causeOf(error)
  const message = cause instanceof Error ? cause.message.replace(/, line:\d+, col:\d+$/, '').slice(0, 200) : 'is no Liquid template'
  return { offset, message }
}
