// Tests about SQLite's file itself: elsewhere there is nothing to test, and the reason is said.

import tap, { type Test } from 'tap'
import { storeKind } from './stores.ts'

export function onlySqlite (name: string, reason: string, body: (t: Test) => Promise<void>): void {
  if (storeKind === 'sqlite') tap.test(name, body)
  else tap.comment(`SQLite only, since ${reason}: ${name}`)
}
