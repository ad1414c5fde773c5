// Counts how often the point of this process is passed, and ends the process at the time that was asked for.

import type { Point } from './points.ts'

const [wanted, nth] = (process.env['FAILPOINT'] ?? ':0').split(':') as [Point | '', string]
let passed = 0

export function isWanted (point: Point): boolean { return wanted === point }

/** Does not return from the pass that was asked for. */
export function pass (point: Point): void {
  if (isWanted(point) && ++passed === Number(nth)) process.kill(process.pid, 'SIGKILL')
}
