// The lanes of a generation of the gateway: one for each shop that is asked about.

import type { SourceContext } from '../../../gateway/define.ts'
import { client, type Client } from './client.ts'

const made = new WeakMap<SourceContext, { client: Client }>()

/** The same for the same context, so that its parts share the lanes; made with what the first of them brings. */
export function adminOf (context: SourceContext, first: () => Client = () => client(context)): { client: Client } {
  const there = made.get(context) ?? { client: first() }
  made.set(context, there)
  return there
}
