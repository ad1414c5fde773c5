// A webhook that was understood as far as its envelope, for those who know its topic.

import type { Received, SourceContext, Translated } from '../../gateway/define.ts'
import { isObject, parseJson, shopOf, timeOf, type Json } from './body.ts'
import type { LookUps } from './look-ups.ts'
import type { Options } from './options.ts'

/** Something that a person who looks at the row should know. */
export interface Note { reason: string, detail: string }

export interface Work {
  /** Of its row. */
  received: Received
  /** Lower case. */
  topic: string
  /** Id of the shop. */
  shop: string
  body: Json
  /** As the header says, which nobody signed. Null where it says none. */
  triggeredAt: number | null
  options: Options
  context: SourceContext
  lookUps: LookUps
}

export const PARKED = {
  shop: (shop: string): Translated => ({ is: 'parked', reason: 'shop_unknown', detail: `No shop is called "${shop}".` })
}

/** What a row is about; or its end, where it is not fit to be worked on. */
export function workOf (received: Received, context: SourceContext, lookUpsOf: (context: SourceContext) => LookUps): Work | Translated {
  const { topic, shop, headers } = received
  const body = received.body === null || headers['illegible'] !== undefined ? undefined : parseJson(received.body)
  if (!isObject(body)) return { is: 'parked', reason: 'not_json', detail: 'The body is signed, and no JSON object.' }
  const said = shopOf(body)
  if (shop === null || (said !== null && said !== shop)) return { is: 'parked', reason: 'shop_mismatch', detail: `The header says ${shop ?? 'no shop'}, the body ${said ?? 'none'}. The signature covers the body alone.` }
  const options = context.options as unknown as Options // the core checked them against the schema
  return { received, topic: topic.toLowerCase(), shop, body, triggeredAt: timeOf(headers['triggered-at']), options, context, lookUps: lookUpsOf(context) }
}

export function isRefused (work: Work | Translated): work is Translated { return 'is' in work }

/** What a body says when it was, is in whole seconds. Which of two in one second came later the header tells, and it is believed for that second only. */
export function momentOf (said: unknown, { triggeredAt, received }: Pick<Work, 'triggeredAt' | 'received'>): number {
  const at = timeOf(said)
  if (at === null) return triggeredAt ?? received.receivedAt
  return at % 1000 === 0 && triggeredAt !== null ? Math.max(at, Math.min(triggeredAt, at + 999)) : at
}

export function iso (at: number): string { return new Date(at).toISOString() }

/** Events with what is to be remarked on them. */
export function noted (events: Extract<Translated, { is: 'events' }>, notes: readonly Note[]): Translated {
  return { ...events, ...(notes[0] && { reason: notes[0].reason, detail: notes.map(({ detail }) => detail).join(' ') }) }
}
