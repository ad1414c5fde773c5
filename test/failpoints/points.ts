// Where a gateway may be made to kill itself. Nothing in gateway/ knows of this: preload.ts puts the points there from outside.

import { join } from 'node:path'
import type { StartChange } from '../helpers/gateway-process.ts'

/**
 * body_read: an event's body was read and parsed.           before_commit: all rows of a transaction with an event are written, its commit is not.
 * before_answer: the event is on disk, its 202 is not sent.  in_group: between the two rows of an event.
 * after_claim: deliveries are claimed, none is prepared.     before_send: a call is on disk, its request is not sent.
 * before_outcome: the provider answered, no row says so.     in_migration: some statements of a migration ran.
 * in_reload: between two of the steps of a reload.         mid_refresh: the provider gave new tokens, they are not on disk.
 */
export const POINTS = ['body_read', 'before_commit', 'before_answer', 'in_group', 'after_claim', 'before_send', 'before_outcome', 'in_migration', 'in_reload', 'mid_refresh'] as const
export type Point = typeof POINTS[number]
/** Those that a load of events passes. */
export type LoadPoint = Exclude<Point, 'mid_refresh'>
export const LOAD_POINTS = POINTS.filter(point => point !== 'mid_refresh')

/** Steps of a reload that are points. */
export const RELOAD_STEPS = 5

const PRELOAD = join(import.meta.dirname, 'preload.ts')

/** The real gateway, which ends itself with SIGKILL when it passes the point for the nth time. */
export function dieAt (point: Point, nth: number): StartChange {
  return { nodeArgs: ['--import', PRELOAD], env: { FAILPOINT: `${point}:${nth}` } }
}

/** The real gateway with so many migrations more than it has. */
export function upgraded (migrations: number): StartChange {
  return { nodeArgs: ['--import', PRELOAD], env: { EXTRA_MIGRATIONS: String(migrations) } }
}

/** The real gateway on SQLite, which answers before anything is on disk: what a power cut test must notice. */
export function careless (): StartChange {
  return { nodeArgs: ['--import', PRELOAD], env: { NEVER_SYNC: '1' } }
}
