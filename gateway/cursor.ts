// Cursors of lists: signed and bound to who asked for what, so that nobody pages through what is not theirs.

import { timingSafeEqual } from 'node:crypto'
import { GatewayError } from './errors.ts'

export interface Cursors {
  /** `bound`: the caller and what was asked; a cursor opens with the same only. */
  seal (position: string, bound: string): string
  /** The position; throws GW_REQUEST_INVALID where the cursor is not one of this list. */
  open (cursor: string, bound: string): string
}

/** `fingerprint` is keyed, and tells nothing of its text. */
export function createCursors (fingerprint: (text: string) => Buffer): Cursors {
  const mac = (position: string, bound: string): Buffer => fingerprint(JSON.stringify([position, bound]))
  return {
    seal: (position, bound) => `${Buffer.from(position).toString('base64url')}.${mac(position, bound).toString('base64url')}`,
    open (cursor, bound) {
      const [at = '', given = ''] = cursor.split('.')
      const position = Buffer.from(at, 'base64url').toString()
      const expected = mac(position, bound)
      const bytes = Buffer.from(given, 'base64url')
      if (bytes.length === expected.length && timingSafeEqual(bytes, expected)) return position
      throw new GatewayError('GW_REQUEST_INVALID', 'The cursor is not one of this list.', { details: [{ path: '/cursor', rule: 'signature', message: 'start again without a cursor' }] })
    }
  }
}
