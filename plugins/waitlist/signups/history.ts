// Which messages a sign-up led to, and what became of each: why it was sent, or was not.

import type { Row, SourceContext, SourceShop } from '../../../gateway/contract.ts'
import { STATE } from '../../../gateway/contract.ts'
import { timeOf } from './views.ts'

/** The latest ones. */
const MESSAGES_MAX = 50
const STATES = Object.keys(STATE) as Array<keyof typeof STATE>

/** Newest first. */
export async function historyOf (row: Row, { key }: SourceShop, { read }: SourceContext): Promise<object[]> {
  const alerts = Number(row.alerts)
  const ids = Array.from({ length: Math.min(alerts, MESSAGES_MAX) }, (_, i) => alerts - i)
    .flatMap(number => [`${String(row.id)}/reminder/${number}`, `${String(row.id)}/alert/${number}`])
  if (ids.length === 0) return []
  const ends = await read('message_ends', { shop_key: key, source_ids: JSON.stringify(ids) })
  return ends.toReversed().map(({ id, source_id: event, state, reason, finished_at: finishedAt }) => ({
    kind: String(event).split('/')[1],
    event,
    delivery: id,
    state: STATES.find(name => STATE[name] === state),
    reason,
    finished_at: timeOf(finishedAt)
  }))
}
