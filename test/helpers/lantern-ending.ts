// What happens to grants that nobody is to have any more, as a test waits for it.

import type { Test } from 'tap'
import { movable, until, type App } from './app.ts'
import { startLanternApp } from './lantern.ts'
import { SHOP } from './setup.ts'

/** Longer than a code takes to become a connection. */
export const SOON_MS = 16_000
/** What the log says. */
export const SAID = {
  stays: 'a grant is not ended at the provider: the account is connected still or again, and could lose its access with it',
  ended: 'a grant was ended at the provider',
  meanwhile: 'the account was connected while a grant of it was ended; its connections are checked',
  noWay: 'the provider has no way to end a grant; the merchant can remove the app there',
  waits: 'a grant is not ended at the provider yet; it is tried again, for four days',
  givenUp: 'a grant could not be ended at the provider; the merchant can remove the app there'
}

/** A gateway under a clock that the test sets. */
export async function ending (t: Test, options: Parameters<typeof startLanternApp>[1] = {}): Promise<{ app: App, advance (ms: number): void }> {
  const { runtime, advance } = movable()
  return { app: await startLanternApp(t, { runtime, ...options }), advance }
}

export async function disconnect (app: App, shop = SHOP): Promise<void> {
  const { status } = await app.ask('DELETE', `/v1/shops/${shop}/providers/lantern/connection`)
  if (status !== 200) throw new Error(`disconnecting answered ${status}`)
}

/** How many grants wait to be ended. */
export async function waiting (app: App): Promise<number> { return (await app.query('select 1 from oauth_revocations')).length }

/** How often the log says so. */
export function said (app: App, message: string): number { return app.lines.filter(line => line.includes(`"${message}"`)).length }

/** The job looks at all that is due, from now on. */
export async function looked (app: App): Promise<void> {
  const running = async (among: string): Promise<boolean> => (await app.query(`select 1 from jobs where kind = 'oauth_revoke' and (${among})`)).length > 0
  await until(async () => !await running('owner is not null'))
  await app.query("update jobs set due_at = 1 where kind = 'oauth_revoke'")
  await until(async () => !await running('due_at = 1 or owner is not null'))
}
