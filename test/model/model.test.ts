// R90, R92: whatever order things happen in, the store and the rules of the deliveries do what a small model in memory says:
// nothing lost, no end written under a stale epoch, attempts that only rise, windows kept, nothing sent to who was
// erased and nothing left of them, and all at its end in the end.

import t from 'tap'
import { modelRuns } from './commands.ts'
import type { Real } from './real.ts'

const RUNS = 50

t.test(`R90, R92: ${RUNS} sequences of commands do what the model says`, async t => {
  await t.resolves(modelRuns({ numRuns: RUNS, seed: 90 }))
})

/** What a statement does is changed: instead of it another one runs, or none. */
const instead = (name: string, change: (params: Record<string, unknown>) => Record<string, unknown> | null) => ({ db }: Real): void => {
  const run = db.run.bind(db)
  db.run = (unit, by) => run(unit.map(step => {
    if (step.name !== name) return step
    const params = change(step.params)
    return params === null ? { name: 'note_health', params: { owner: 0, account_key: 0, health: '[]' } } : { name, params: params as typeof step.params }
  }), by)
}

for (const [what, spoil] of Object.entries({
  'an end that is written whoever has the claim': ({ db }: Real) => {
    const run = db.run.bind(db)
    db.run = (unit, by) => {
      for (const { name, params } of unit) if (name === 'settle_call') db.query(`update deliveries set owner = ${Number(params.owner)}, epoch = ${Number(params.epoch)}, due_at = null, finished_at = null, state = 2 where delivery_key = ${Number(params.delivery_key)}`)
      return run(unit, by)
    }
  },
  'a call that is settled and not counted': instead('settle_call', params => ({ ...params, settled_at: null })),
  'a queue that is not told of what comes due': instead('queue_due', () => null),
  'a claim that outlives the word to erase its person': instead('redact_waiting_of', () => null),
  'an event that keeps its data': instead('redact_event', () => null),
  'an attempt that is not counted': instead('settle_call', params => ({ ...params, paid: 0 }))
})) {
  t.test(`R90: ${what} is found`, async t => {
    await t.rejects(modelRuns({ numRuns: 200, seed: 90, spoil, endOnFailure: true }))
  })
}
