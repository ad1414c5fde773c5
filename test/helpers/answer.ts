// Answers as they come over the wire.

import type { Answer } from '../../gateway/contract.ts'

/** A full one; a body that is no text is sent as JSON. */
export function answer (status: number, headers: Record<string, string> = {}, body: unknown = ''): Answer & { kind: 'answer' } {
  return { kind: 'answer', status, headers, body: typeof body === 'string' ? body : JSON.stringify(body), cut: false }
}
