// R90, R91, R92: the long versions of test/simulation and test/model: many seeds, faults for three virtual minutes each.
//
//   node test/campaign/simulation.ts                     1,000 seeds
//   node test/campaign/simulation.ts --from 17 --count 1 --tell   one of them, with what is done to it

import { parseArgs } from 'node:util'
import { modelRuns } from '../model/commands.ts'
import { simulate } from '../simulation/run.ts'
import { some } from './trial.ts'

export interface SimulationReport { from: number, count: number, minutes: number, accepted: number, arrived: number, made: number, faults: number, /** The first fault of each seed that has one. */ wrong: string[], seeds: number[] }

/** Seeds one after the other. */
export async function simulateMany ({ from, count, faultsForMs = 180_000, tell }: { from: number, count: number, faultsForMs?: number, tell?: (line: string) => void }): Promise<SimulationReport> {
  const report: SimulationReport = { from, count, minutes: 0, accepted: 0, arrived: 0, made: 0, faults: 0, wrong: [], seeds: [] }
  for (let seed = from; seed < from + count; seed++) {
    const { minutes, accepted, arrived, made, faults, wrong } = await simulate({ seed, faultsForMs, ...(tell && { tell }) })
    report.minutes += minutes
    report.accepted += accepted
    report.arrived += arrived
    report.made += made
    report.faults += Object.values(faults).reduce((sum, n) => sum + n, 0)
    report.wrong.push(...wrong.slice(0, 1))
    if (wrong.length > 0) report.seeds.push(seed)
  }
  return report
}

export function judgeSimulation ({ from, count, minutes, accepted, arrived, made, faults, wrong, seeds }: SimulationReport): { ok: boolean, line: string } {
  const hours = Math.round(minutes / 60)
  return { ok: wrong.length === 0, line: `seeds ${from} to ${from + count - 1}, ${hours} virtual hours, ${faults} faults and wishes of persons, accepted ${accepted}, arrived ${arrived}, messages ${made}; ${some('wrong', wrong)}${seeds.length > 1 ? `; seeds ${seeds.join(' ')}` : ''}` }
}

/** The model against so many sequences of commands; what fails is told with its shortest sequence. */
export async function judgeModel ({ seed, runs }: { seed: number, runs: number }): Promise<{ ok: boolean, line: string }> {
  const failed = await modelRuns({ numRuns: runs, seed }).then(() => null, (error: Error) => `${error.message}: ${String((error.cause as Error | undefined)?.message)}`)
  return { ok: failed === null, line: `seed ${seed}, ${runs} sequences; ${failed ?? 'all as the model says'}` }
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { from: { type: 'string', default: '1' }, count: { type: 'string', default: '1000' }, seconds: { type: 'string', default: '180' }, tell: { type: 'boolean', default: false } } })
  const { ok, line } = judgeSimulation(await simulateMany({ from: Number(values.from), count: Number(values.count), faultsForMs: Number(values.seconds) * 1000, ...(values.tell && { tell: console.log }) }))
  console.log(`${ok ? 'ok    ' : 'NOT OK'} simulation: ${line}`)
  process.exitCode = ok ? 0 : 1
}
