// Short runs of the campaign on windows that must hold whoever works on the account: a kill at 90 % of the steady one, and R26.

import t from 'tap'
import { fightForOneAccount, killNearlyFull, nearlyFullFaults, nearlyFullLine, oneAccountFaults, oneAccountLine } from '../campaign/takeover.ts'
import { database, haveNoPostgres } from '../helpers/postgres.ts'
import { tempDir } from '../helpers/tmp.ts'

t.jobs = 2 // they wait for windows to pass most of the time

const STEADY = { max: 60, perMs: 6000 }
const HOW = [
  { name: 'the same gateway goes on, on SQLite', by: 'itself', postgres: false },
  { name: 'the same gateway goes on, on PostgreSQL', by: 'itself', postgres: true },
  { name: 'another gateway takes over', by: 'another', postgres: true }
] as const

for (const { name, by, postgres } of HOW) {
  t.test(`after a kill -9 at 90 % of the steady window no window is overfilled, and it is used again: ${name}`, { skip: postgres && haveNoPostgres }, async t => {
    const report = await killNearlyFull({ dir: tempDir(t), seed: 1, url: postgres ? await database(t) : null, by, steady: STEADY })
    t.comment(nearlyFullLine(report))
    t.strictSame(nearlyFullFaults({ ...report, used: 1 }), [], 'no window was overfilled')
    t.ok(report.used > 0.5, 'and it is used again; how fully, the campaign judges')
  })
}

t.test('an account\'s windows hold under three times what they allow, while gateways come and go (R26)', { skip: haveNoPostgres }, async t => {
  const report = await fightForOneAccount({ dir: tempDir(t), seed: 1, url: await database(t), times: 1, everyMs: 5000, windows: [{ max: 20, perMs: 1000 }, STEADY] })
  t.comment(oneAccountLine(report))
  t.strictSame(oneAccountFaults(report), [])
  t.ok(report.verdict.received > 0, 'messages were sent')
})
