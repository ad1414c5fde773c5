// What waits at a step of a provider that the config does not have any more: it may come back, after a reload that went wrong. A
// day later nothing stays of it that names or authorizes anybody.

import { putStep, rowAt, rowsOf, type StepRow } from './rows.ts'
import type { SetupOptions } from './facts.ts'

const AGAIN_MS = 60_000
const KEPT_MS = 24 * 3_600_000

export interface Left { shopKey: number, provider: string, step: string, subject: string }

/** `since`: since when the row waits, null where it does not. `forgotten`: the row without what it waited for. */
export async function left ({ shopKey, provider, step, subject }: Left, since: (row: StepRow) => number | null, forgotten: (row: StepRow) => StepRow, { store, runtime }: Pick<SetupOptions, 'store' | 'runtime'>): Promise<{ dueAt: number } | null> {
  const at = { shop_key: shopKey, provider }
  const row = rowAt(rowsOf(await store.read('setup_rows', at)), step, subject)
  const waitsSince = since(row)
  if (waitsSince === null) return null
  if (runtime.now() < waitsSince + KEPT_MS) return { dueAt: runtime.now() + AGAIN_MS }
  await store.commit([putStep(at, forgotten(row)), { name: 'drop_setup_secrets', params: { ...at, step } }])
  return null
}
