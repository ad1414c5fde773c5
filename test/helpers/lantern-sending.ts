// A shop that sends through lantern, under clocks that a test moves.

import { anEvent, movable, type App, type Body } from './app.ts'
import { choose, connect, lanternConfig, startLanternApp } from './lantern.ts'
import type { Teardown } from './tmp.ts'

export interface Sending {
  app: App
  /** Sets the wall clock. */
  advance (ms: number): void
  /** Lets the monotonic clock jump ahead. */
  skip (ms: number): void
  grant (): Promise<Body>
}

/** Connected, chosen, and one message sent. */
export async function sending (t: Teardown, config = lanternConfig()): Promise<Sending> {
  const { runtime, advance } = movable()
  let ahead = 0
  const app = await startLanternApp(t, { config, runtime: { ...runtime, mono: () => runtime.mono() + ahead } })
  await connect(app)
  await choose(app)
  await app.delivered(await app.post(anEvent('first')))
  return { app, advance, skip (ms) { ahead += ms }, grant: async () => JSON.parse(String((await app.query("select oauth from connections where provider = 'lantern' order by connection_key"))[0]?.oauth)) as Body }
}
