import fc from 'fast-check'
import t from 'tap'
import { STATE, type Outcome, type Uncertain } from '../../gateway/contract.ts'
import { HOLD_MS, repeats, settle, type SettleFacts } from '../../gateway/delivery/settle.ts'
import { OpenAccount } from '../../gateway/delivery/account.ts'
import { group } from '../helpers/make.ts'

const NOW = 1_000_000
const FACTS: SettleFacts = { now: NOW, random: 0.5, attempts: 0, expiresAt: NOW + 86_400_000, uncertain: 'repeat', scheduleMs: [5000, 300_000, 1_800_000], limitedTimes: 0, refusedAlone: false, mayHaveArrived: false, mayHaveActed: false, probed: false, adjusted: {} }
const PLAIN = { detail: null, dueAt: null, finishedAt: null, paid: 1, pauseLaneMs: null, pauseAccountMs: null, holdAccount: null, reconcile: false, adjusted: null }
const POLICIES: Uncertain[] = ['repeat', 'repeat_once', 'reconcile', 'park']
const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })

const settled = (outcome: Outcome, facts: Partial<SettleFacts> = {}) => settle(outcome, { ...FACTS, ...facts })
const failing: Outcome = { is: 'retry', reason: 'provider_failing' }
const limited: Outcome = { is: 'retry', reason: 'rate_limited', free: true, pause: 'lane' }
const silent: Outcome = { is: 'unknown', reason: 'no_answer' }

t.test('delivered and rejected are final', async t => {
  t.strictSame(settled({ is: 'delivered' }), { ...PLAIN, state: STATE.delivered, reason: null, finishedAt: NOW })
  t.strictSame(settled({ is: 'delivered', warning: 'answer_unreadable' }), { ...PLAIN, state: STATE.delivered, reason: 'answer_unreadable', finishedAt: NOW })
  t.strictSame(settled({ is: 'rejected', reason: 'payload_refused', detail: 'HTTP 400' }), { ...PLAIN, state: STATE.rejected, reason: 'payload_refused', detail: 'HTTP 400', finishedAt: NOW })
})

t.test('R42: a probe that failed pays nothing and is due at once, but not before a time that was named, nor a repeat sooner than a minute', async t => {
  t.match(settled(failing, { probed: true }), { state: STATE.waiting, dueAt: NOW, paid: 0 })
  t.match(settled({ ...failing, afterMs: 90_000 }, { probed: true }), { dueAt: NOW + 90_000, paid: 0 })
  t.match(settled(failing, { probed: true, expiresAt: NOW - 1 }), { state: STATE.expired })
  t.match(settled(silent, { probed: true }), { state: STATE.unknown, dueAt: NOW + 60_000, paid: 0 })
  // Where each repeat may be a second text they are counted all the same.
  t.match(settled(silent, { probed: true, uncertain: 'repeat_once' }), { paid: 1 })
  t.match(settled(silent, { probed: true, uncertain: 'park' }), { dueAt: null, paid: 1 })
})

t.test('a failed attempt waits as the schedule says, a fifth more or less', async t => {
  t.strictSame([0, 1, 2, 3, 50].map(attempts => settled(failing, { attempts, expiresAt: Infinity }).dueAt), [5000, 300_000, 1_800_000, 1_800_000, 1_800_000].map(ms => NOW + ms))
  t.strictSame(settled(failing), { ...PLAIN, state: STATE.waiting, reason: 'provider_failing', dueAt: NOW + 5000 })
  fc.assert(fc.property(fc.nat(5), random, (attempts, random) => {
    const ms = settled(failing, { attempts, random }).dueAt as number - NOW
    const plain = [5000, 300_000, 1_800_000][Math.min(attempts, 2)] as number
    return ms >= plain * 0.8 - 1 && ms <= plain * 1.2 + 1
  }))
})

t.test('a paid attempt is never repeated sooner than the schedule says, whatever the answer names', async t => {
  t.equal(settled({ ...failing, afterMs: 1000 }, { attempts: 1 }).dueAt, NOW + 300_000)
  t.equal(settled({ ...failing, afterMs: 20_000 }).dueAt, NOW + 20_000)
})

t.test('R40: a 429 pauses its lane for the time it names and costs no attempt', async t => {
  t.strictSame(settled({ ...limited, afterMs: 7000 }, { attempts: 2 }), { ...PLAIN, state: STATE.waiting, reason: 'rate_limited', dueAt: NOW + 7000, paid: 0, pauseLaneMs: 7000 })
})

t.test('R41: a 429 without a time backs off with each one in a row', async t => {
  t.strictSame([0, 1, 2, 6, 7].map(limitedTimes => settled(limited, { limitedTimes }).pauseLaneMs), [60_000, 120_000, 240_000, 3_600_000, 3_600_000])
  fc.assert(fc.property(fc.nat(12), random, (limitedTimes, random) => {
    const { dueAt, pauseLaneMs } = settled(limited, { limitedTimes, random })
    return dueAt === NOW + (pauseLaneMs as number)
  }))
})

t.test('R26: what another gateway noted counts a little longer, as its clock may be a little off', async t => {
  const account = new OpenAccount({ account_key: 1, provider: 'alpha', held_reason: null, held_until: null, pauses: '{}', health: '[]' }, { now: NOW, mono: 0 })
  const room = (settledMsAgo: number) => account.open(group('events', [{ max: 1, perMs: 60_000 }]), [NOW - settledMsAgo], NOW, 0).room(0)
  t.strictSame([room(59_999), room(60_049), room(60_051)], [0, 0, 1])
  t.equal(room(-5000), 0, 'one that lies ahead counts as now')
})

t.test('R41: requests refused together are one time in the row, and an answer to an older request does not end it', async t => {
  const account = new OpenAccount({ account_key: 1, provider: 'alpha', held_reason: null, held_until: null, pauses: '{}', health: '[]' }, { now: 0, mono: 0 })
  const refused = (reservedAt: number, now: number) => {
    const times = account.limitedTimes('events', reservedAt)
    account.countLimited('events', true, reservedAt, now)
    return times
  }
  t.strictSame([refused(100, 200), refused(101, 201), refused(150, 300)], [0, 0, 0], 'one burst')
  account.countLimited('events', false, 120, 310)
  t.equal(refused(60_300, 60_400), 1, 'the next one after the pause')
  t.equal(refused(180_500, 180_600), 2)
  account.countLimited('events', false, 420_700, 420_800)
  t.equal(refused(420_900, 421_000), 0, 'an answer in between ended the row')
  t.equal(account.limitedTimes('other', 500_000), 0, 'each lane for itself')
})

t.test('R44: refused credentials hold the account, and the delivery pays nothing', async t => {
  t.strictSame(settled({ is: 'hold', reason: 'credentials_refused', detail: 'HTTP 401' }, { attempts: 3 }), {
    ...PLAIN, state: STATE.waiting, reason: 'credentials_refused', detail: 'HTTP 401', dueAt: NOW, paid: 0, holdAccount: { reason: 'credentials_refused', forMs: HOLD_MS }
  })
  t.ok(HOLD_MS >= 30_000, 'at most two calls a minute')
})

t.test('what is refused for an account that takes others is refused for itself, and holds nobody', async t => {
  const refused: Outcome = { is: 'hold', reason: 'sender_refused', detail: '21606' }
  t.strictSame(settled(refused, { refusedAlone: true }), { ...PLAIN, state: STATE.rejected, reason: 'sender_refused', detail: '21606', finishedAt: NOW })
  t.strictSame(settled(refused, { refusedAlone: true, mayHaveArrived: true }), { ...PLAIN, state: STATE.unknown, reason: 'sender_refused', detail: '21606', finishedAt: NOW }, 'what may have been sent is not called refused')
})

t.test('a block in front of the provider pauses the account', async t => {
  t.strictSame(settled({ is: 'retry', reason: 'blocked_by_provider', free: true, pause: 'account', afterMs: 900_000 }), { ...PLAIN, state: STATE.waiting, reason: 'blocked_by_provider', dueAt: NOW + 900_000, paid: 0, pauseAccountMs: 900_000 })
})

t.test('what could be tried again only after its expiry has expired, and says what it waited for', async t => {
  const expired = { ...PLAIN, state: STATE.expired, finishedAt: NOW }
  t.strictSame(settled(failing, { expiresAt: NOW + 4999 }), { ...expired, reason: 'expired' })
  t.strictSame(settled(failing, { expiresAt: NOW + 5000 }).state, STATE.waiting)
  t.strictSame(settled({ ...limited, afterMs: 7000 }, { expiresAt: NOW + 6999 }), { ...expired, reason: 'expired_rate_limited', paid: 0, pauseLaneMs: 7000 }, 'the lane pauses all the same')
  t.strictSame(settled({ is: 'retry', reason: 'not_connected_to_provider', detail: 'E: x' }, { expiresAt: NOW }), { ...expired, reason: 'expired', detail: 'E: x' })
})

t.test('an unknown is repeated only where its provider\'s policy allows it', async t => {
  const again: Record<Uncertain, boolean[]> = { repeat: [true, true, true], repeat_once: [true, false, false], reconcile: [false, false, false], park: [false, false, false] }
  for (const uncertain of POLICIES) {
    for (const attempts of [0, 1, 2]) {
      const result = settled(silent, { uncertain, attempts })
      t.equal(result.state, STATE.unknown, `${uncertain}, ${attempts}`)
      t.equal(result.reason, 'no_answer')
      t.equal(result.dueAt !== null, again[uncertain][attempts], `${uncertain} after ${attempts} attempts`)
      t.equal(result.reconcile, uncertain === 'reconcile')
      t.equal(result.finishedAt, again[uncertain][attempts] === true || uncertain === 'reconcile' ? null : NOW)
      t.equal(result.paid, 1)
      t.equal(repeats(uncertain, attempts), again[uncertain][attempts])
    }
  }
})

t.test('an unknown is not repeated within a minute, nor after its expiry, where it stays unknown', async t => {
  fc.assert(fc.property(random, random => settled(silent, { random }).dueAt as number >= NOW + 60_000))
  t.equal(settled(silent).dueAt, NOW + 60_000, 'the schedule says 5 s')
  t.equal(settled(silent, { attempts: 1 }).dueAt, NOW + 300_000)
  t.match(settled(silent, { expiresAt: NOW + 59_999 }), { state: STATE.unknown, reason: 'no_answer', dueAt: null, finishedAt: NOW })
})

t.test('what may have been sent before stays unknown, whatever delays or ends the repeat', async t => {
  const before = { mayHaveArrived: true }
  t.match(settled(failing, before), { state: STATE.unknown, dueAt: NOW + 5000, finishedAt: null })
  t.match(settled(limited, before), { state: STATE.unknown, finishedAt: null })
  t.match(settled(failing, { ...before, expiresAt: NOW + 1 }), { state: STATE.unknown, dueAt: null, finishedAt: NOW }, 'it never becomes "not sent"')
  t.match(settled({ is: 'hold', reason: 'credentials_refused' }, before), { state: STATE.unknown, dueAt: NOW })
  t.match(settled({ is: 'rejected', reason: 'payload_refused', detail: 'too long' }, before), { state: STATE.unknown, reason: 'payload_refused', detail: 'too long', dueAt: null, finishedAt: NOW }, 'only its repeat was refused')
  t.match(settled({ is: 'delivered' }, before), { state: STATE.delivered })
})

t.test('an answer that asks for other settings has it made again at once, once for each setting, for an attempt', async t => {
  const ask: Outcome = { is: 'retry', reason: 'payload_refused', detail: 'too long', settings: { short: true } }
  const again = { ...PLAIN, state: STATE.waiting, reason: 'payload_refused', detail: 'too long', dueAt: NOW }
  t.strictSame(settled(ask), { ...again, adjusted: { short: true } })
  t.strictSame(settled(ask, { adjusted: { plain: 1 } }), { ...again, adjusted: { plain: 1, short: true } }, 'what was asked for before holds on')
  t.strictSame(settled(ask, { mayHaveArrived: true }), { ...PLAIN, state: STATE.unknown, reason: 'repeat_refused', detail: 'too long', finishedAt: NOW }, 'what may have been sent is not made anew: a person decides')
  t.match(settled(ask, { mayHaveArrived: true, adjusted: { short: true } }), { state: STATE.unknown, dueAt: null, adjusted: null })
  t.strictSame(settled(ask, { adjusted: { short: true } }), { ...again, dueAt: NOW + 5000 }, 'asked for twice it waits its turn: no circle')
  t.match(settled(ask, { mayHaveActed: true }), { state: STATE.unknown, adjusted: null }, 'a failing provider may have sent it')
  t.match(settled(ask, { expiresAt: NOW }), { state: STATE.expired, adjusted: null })
})

t.test('an answer that leaves open whether it was acted on keeps the delivery unknown until its repeat', async t => {
  t.match(settled(failing, { mayHaveActed: true }), { state: STATE.unknown, dueAt: NOW + 5000, finishedAt: null })
})
