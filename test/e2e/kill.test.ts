// Short runs of the campaign's kills: R1 of the fault list, on every commit.

import t from 'tap'
import { killAgainAndAgain } from '../campaign/kill.ts'
import { tempDir } from '../helpers/tmp.ts'

const KILLS = 3

t.test('kill -9 under load loses nothing, and a provider that tells repeats apart gets every message', async t => {
  const { finding, listed, uncertainSends, allowed, worstKill, allowedPerKill, firstStartMs, slowestStartMs, integrity, ...run } = await killAgainAndAgain({ dir: tempDir(t), seed: 1, kills: KILLS, uncertain: 'repeat' })
  t.comment(JSON.stringify({ ...run, accepted: finding.accepted, uncertainSends, allowed, worstKill, firstStartMs, slowestStartMs }))
  t.ok(finding.accepted > 100, 'there was load')
  t.strictSame({ lost: finding.lost, unknown: finding.unknown, waiting: finding.waiting }, { lost: [], unknown: [], waiting: [] })
  t.equal(finding.received, finding.accepted, 'each accepted event was received, counted by key')
  t.equal(listed, finding.accepted, 'and has one delivery')
  t.strictSame({ doubled: finding.doubled, claimedOnly: finding.claimedOnly, unexplained: finding.unexplained }, { doubled: [], claimedOnly: [], unexplained: [] })
  t.ok(uncertainSends <= allowed && worstKill <= allowedPerKill, 'no more were sent again than were in flight, at any kill')
  t.equal(integrity, 'ok')
  // The campaign holds it to five seconds in all; here the machine may be busy, so what is judged is the recovery.
  t.ok(slowestStartMs - firstStartMs < 5000, 'taking over what was left takes less than five seconds')
})

t.test('kill -9 under load sends nothing twice to a provider that cannot tell, and shows what is unknown', async t => {
  const { finding, listed, uncertainSends, allowed, worstKill, allowedPerKill, ...run } = await killAgainAndAgain({ dir: tempDir(t), seed: 2, kills: KILLS, uncertain: 'park' })
  t.comment(JSON.stringify({ ...run, accepted: finding.accepted, uncertainSends, allowed, worstKill }))
  t.ok(finding.accepted > 100, 'there was load')
  t.strictSame({ lost: finding.lost, waiting: finding.waiting }, { lost: [], waiting: [] })
  t.strictSame(finding.repeatedKeys, [], 'no key was received twice')
  t.equal(finding.received + finding.unknown.length, finding.accepted, 'each accepted event was received or is shown as unknown')
  t.equal(listed, finding.accepted, 'and has one delivery')
  t.strictSame({ doubled: finding.doubled, claimedOnly: finding.claimedOnly, unexplained: finding.unexplained }, { doubled: [], claimedOnly: [], unexplained: [] })
  t.ok(uncertainSends <= allowed && worstKill <= allowedPerKill, 'no more are unknown than were in flight, at any kill')
})
