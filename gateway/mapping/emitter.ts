import { toValue } from 'liquidjs'
import { MappingError } from '../errors.ts'
import { MAX_TEXT } from './limits.ts'

/**
 * Collects what one template gives. A value that stands alone keeps its type; as soon as text stands beside it all
 * becomes text. The engine's own collector has no limit, and would write objects as "[object Object]".
 */
export class Collector {
  buffer: unknown = ''

  write (written: unknown): void {
    const value = toValue(written)
    if (typeof value !== 'string' && this.buffer === '') {
      this.buffer = value
      return
    }
    const text = textOf(this.buffer) + textOf(value)
    if (text.length > MAX_TEXT) throw new MappingError(`gives more than ${MAX_TEXT / 1024} KiB of text`)
    this.buffer = text
  }
}

/** Text of a scalar or of a list of scalars, as Liquid writes it; an object has none. */
export function textOf (value: unknown): string {
  if (typeof value === 'string') return value
  if (value === null || value === undefined) return ''
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  if (Array.isArray(value) && value.every(isScalar)) return value.map(textOf).join('')
  throw new MappingError('puts an object into text')
}

/** What has a text of its own. */
export function isScalar (value: unknown): boolean {
  return value === null || value === undefined || typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
}
