import { below } from './pointer.ts'

/**
 * A value and its pointer. What is not of the kind asked for is as good as absent, so that a check can
 * look at a config whose form is not right yet: the schema's own fault tells of that.
 */
export class Cursor {
  readonly value: unknown
  readonly pointer: string

  constructor (value: unknown, pointer = '') {
    this.value = value
    this.pointer = pointer
  }

  get (...keys: string[]): Cursor {
    return keys.reduce((at: Cursor, key) => new Cursor(at.#record()[key], below(at.pointer, key)), this)
  }

  /** Members of a map, in its order. */
  entries (): Array<[string, Cursor]> {
    return Object.entries(this.#record()).map(([key, value]) => [key, new Cursor(value, below(this.pointer, key))])
  }

  keys (): string[] {
    return Object.keys(this.#record())
  }

  /** Members of a list. */
  items (): Cursor[] {
    return Array.isArray(this.value) ? this.value.map((value, i) => new Cursor(value, below(this.pointer, i))) : []
  }

  text (): string | null {
    return typeof this.value === 'string' ? this.value : null
  }

  #record (): Record<string, unknown> {
    const { value } = this
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value as Record<string, unknown> : {}
  }
}
