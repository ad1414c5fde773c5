// What is broken on purpose is found by the simulation: else its runs say nothing (R91, R92).

import t from 'tap'
import type { Row, Step, StepResult } from '../../gateway/contract.ts'
import { simulate, type World } from './run.ts'

const FAULTS_FOR_MS = 30_000

type Run = (unit: Step[], by: number) => StepResult[]

/** What the first of the seeds that finds something finds. */
async function found (spoil: (world: World) => void): Promise<string> {
  for (let seed = 1; seed <= 60; seed++) {
    const [first] = (await simulate({ seed, faultsForMs: FAULTS_FOR_MS, spoil })).wrong
    if (first !== undefined) return first
  }
  return 'nothing'
}

const spoiling = (change: (run: Run) => Run) => ({ db }: World): void => { db.run = change(db.run.bind(db)) }

t.test('R91: a store that answers before it has written is found', async t => {
  let units = 0
  const forgetful = spoiling(run => (unit, by) => unit[0]?.name === 'insert_event' && ++units % 10 === 0 ? unit.map(() => ({ changes: 1, rows: [] as Row[] })) : run(unit, by))
  t.match(await found(forgetful), /was accepted as dlv_\d+, which is nowhere/)
})

t.test('R91: a gate that forgets what was sent before it was opened is found', async t => {
  const forgetful = ({ db }: World): void => {
    const read = db.read.bind(db)
    db.read = (name, params) => name === 'lane_history' ? [] : read(name, params)
  }
  t.match(await found(forgetful), /had \d+ requests within \d+ ms, \d+ are allowed/)
})

t.test('R91: a queue that is not told of what comes due is found', async t => {
  t.match(await found(spoiling(run => (unit, by) => run(unit.map(step => step.name === 'queue_due' ? { name: 'note_health', params: { owner: 0, account_key: 0, health: '[]' } } : step), by))), /did not come to rest/)
})

t.test('R91: an end that is written twice, by who has lost the claim as well, is found', async t => {
  t.match(await found(spoiling(run => (unit, by) => {
    const results = run(unit, by)
    for (const { name, params } of unit) if (name === 'adopt_sending') run([{ name: 'set_apart', params: { delivery_key: params.delivery_key as number, due_at: 1 } }, { name: 'retry_delivery', params: { delivery_key: params.delivery_key as number, now: 1, expires_at: 1, unknown: 1 } }], by)
    return results
  })), /made 2 messages|waits|came to|did not come to rest|goes on/)
})
