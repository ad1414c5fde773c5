// R61 and R62 in short; the campaign does the one a thousand times with fifty callers each, the other fifty times.

import t from 'tap'
import { dieMidRefresh, endAgainAndAgain, refreshFaults, refreshLine } from '../campaign/refresh.ts'
import { database, haveNoPostgres } from '../helpers/postgres.ts'

t.test('R61, #51: two gateways with ten callers each renew a token once for each end, and use no refresh token twice', { skip: haveNoPostgres }, async t => {
  const report = await endAgainAndAgain({ t, url: await database(t), expiries: 20, callers: 10 })
  t.comment(refreshLine(report))
  t.strictSame(refreshFaults(report), [])
  t.equal(report.calls, 400)
})

t.test('R62, R2: a gateway that dies between a new token and its commit costs that connection a reconnect, and nothing else', async t => {
  t.strictSame(await dieMidRefresh({ t, kills: 2 }), [])
})
