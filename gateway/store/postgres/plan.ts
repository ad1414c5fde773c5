// From units of work to as few calls as possible, and from their results back to the units. Steps keep their order within
// their unit; units that arrive together are not told apart by time, and each step says itself under which conditions it acts.

import type { Row, Step, StepResult } from '../../contract.ts'
import { bound, boundInJson, type Compiled } from './statements.ts'

/** One statement, for one step or for many. */
export interface Call { compiled: Compiled, steps: Planned[] }
interface Planned { unit: number, at: number, step: Step }

export interface Answered { rows: Row[], changes: number }

export function plan (units: readonly Step[][], known: ReadonlyMap<string, Compiled>): Call[] {
  const calls: Call[] = []
  const next = units.map(() => 0)
  let first = 0
  for (;;) {
    while (first < units.length && next[first] === units[first]?.length) first++
    const front = units[first]?.[next[first] as number]
    if (!front) return calls
    const compiled = known.get(front.name)
    if (!compiled) throw new Error(`no statement is named "${front.name}"`)
    calls.push({ compiled, steps: compiled.set ? gather(units, next, first, compiled) : [{ unit: first, at: (next[first] as number), step: front }] })
    if (!compiled.set) next[first] = (next[first] as number) + 1
  }
}

/** All steps that are next in their units and call the same statement. Of two that must not meet the second waits, and its unit with it. */
function gather (units: readonly Step[][], next: number[], first: number, { name, set }: Compiled): Planned[] {
  const gathered: Planned[] = []
  const met = new Set<unknown>()
  for (let unit = first; unit < units.length; unit++) {
    const steps = units[unit] as Step[]
    for (let at = next[unit] as number; steps[at]?.name === name; at++) {
      const step = steps[at] as Step
      const apart = set?.apart == null ? null : step.params[set.apart]
      if (apart !== null && met.has(apart)) break
      met.add(apart)
      gathered.push({ unit, at, step })
      next[unit] = at + 1
    }
  }
  return gathered
}

/** The parameters of a call as they are bound. */
export function valuesOf ({ compiled: { name, names, set }, steps }: Call): unknown[] {
  if (set) return [JSON.stringify(steps.map(({ step }, i) => ({ i, ...Object.fromEntries(names.map(field => [field, boundInJson(step.params[field], name, field)])) })))]
  const params = (steps[0] as Planned).step.params
  return names.map(field => bound(params[field], name, field))
}

/** What each step did, by unit. */
export function resultsOf (units: readonly Step[][], calls: readonly Call[], answers: readonly Answered[]): StepResult[][] {
  const results: StepResult[][] = units.map(steps => steps.map(() => ({ changes: 0, rows: [] })))
  calls.forEach(({ compiled: { set }, steps }, n) => {
    const { rows, changes } = answers[n] as Answered
    if (!set) {
      const { unit, at } = steps[0] as Planned
      ;(results[unit] as StepResult[])[at] = { changes, rows }
      return
    }
    const mine = new Map(steps.map((planned, i) => [set.by === 'i' ? i : planned.step.params[set.by], planned]))
    for (const { i, ...row } of rows) {
      const planned = mine.get(set.by === 'i' ? i : row[set.by])
      const result = planned && results[planned.unit]?.[planned.at]
      if (!result) continue
      result.changes++
      if (set.by === 'i' && Object.keys(row).length > 0) result.rows.push(row)
    }
  })
  return results
}
