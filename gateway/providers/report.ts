// How faults of a manifest are told, and the rules that several of its checks share.

import type { Code } from '../errors.ts'
import { REASONS } from '../reasons.ts'

/** `pointer` is the place in the manifest; `key` points at the key, not its value. */
export type Report = (pointer: string, message: string, fix: string, code?: Code, key?: boolean) => void

export function checkReason (reason: string, at: string, report: Report): void {
  if (!Object.hasOwn(REASONS, reason)) report(at, `no reason "${reason}"`, known(REASONS))
}

/** What may be named instead. */
export function known (table: object): string {
  return `Name one of: ${Object.keys(table).join(', ')}.`
}
