// Who waits no longer is forgotten after the term of all payloads, and with them the waves in which they were told.

import type { SourceContext } from '../../gateway/define.ts'

const SLICE = 500
const AGAIN_SOON_MS = 1000
const AGAIN_MS = 3_600_000

export async function runRetention (_job: unknown, context: SourceContext): Promise<{ afterMs: number }> {
  const slice = { before: context.now() - context.payloadMs, limit: SLICE }
  const [people, waves] = await context.commit([{ name: 'waitlist_over_signups', params: slice }, { name: 'waitlist_over_waves', params: slice }])
  return { afterMs: people?.changes === SLICE || waves?.changes === SLICE ? AGAIN_SOON_MS : AGAIN_MS }
}
