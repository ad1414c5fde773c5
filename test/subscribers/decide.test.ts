// What is done with a delivery whose provider texts only its own subscribers, for every way in which its person may stand there (D5, C11).

import t from 'tap'
import { decideAdd, decideMessage, type DecisionFacts } from '../../gateway/subscribers/decide.ts'
import { isStale, nextLookAt, type Standing, type StandingName } from '../../gateway/subscribers/standing.ts'

const NOW = Date.UTC(2026, 10, 22)
const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS
const ME = 7

const standing = (name: StandingName, more: Partial<Standing> = {}): Standing => ({ standing: name, since: NOW - HOUR_MS, askedAt: null, checkedAt: NOW - MINUTE_MS, adding: null, refused: null, wants: 0, ...more })
const facts = (known: Standing | null, more: Partial<DecisionFacts> = {}): DecisionFacts => ({ now: NOW, standing: known, kind: 'marketing', delivery: { key: ME, lostAt: null }, adderAlive: false, ...more })

/** In few words. */
const said = (decision: ReturnType<typeof decideAdd>): string => {
  switch (decision.is) {
    case 'go': return decision.adds ? 'adds' : 'sends'
    case 'look': return decision.doubt ? 'looks, whatever is known' : 'looks'
    case 'wait': return `waits ${decision.reason}${decision.lookAt === null ? '' : ` ${(decision.lookAt - NOW) / MINUTE_MS} min`}`
    case 'add': return 'add first'
    case 'end': return decision.reason
    case 'refuse': return `${decision.reason}${decision.because === undefined ? '' : ` because ${decision.because}`}`
  }
}

t.test('a sign-up adds only whom the provider certainly does not have; it is never made for one who opted out', async t => {
  const table: Array<[string, DecisionFacts, string]> = [
    ['nothing known', facts(null), 'looks'],
    ['not asked yet', facts(standing('unknown', { checkedAt: null })), 'looks'],
    ['not found', facts(standing('not_found')), 'adds'],
    ['not found, an hour ago', facts(standing('not_found', { checkedAt: NOW - HOUR_MS })), 'looks'],
    ['not found by a clock that was ahead', facts(standing('not_found', { checkedAt: NOW + HOUR_MS })), 'looks'],
    ['asked to opt in', facts(standing('pending', { checkedAt: null })), 'already_on_list'],
    ['subscribed', facts(standing('subscribed')), 'already_on_list'],
    ['subscribed, a month ago', facts(standing('subscribed', { checkedAt: NOW - 30 * DAY_MS })), 'looks'],
    ['for orders only', facts(standing('transactional_only')), 'already_on_list'],
    ['opted out', facts(standing('opted_out')), 'opted_out'],
    ['opted out, a day ago', facts(standing('opted_out', { checkedAt: NOW - DAY_MS })), 'looks'],
    ['another one adds', facts(standing('not_found', { adding: 9 }), { adderAlive: true }), 'waits looking_up'],
    ['another one did, and ended', facts(standing('not_found', { adding: 9 })), 'adds'],
    ['it is refused for now, and tried again', facts(standing('not_found', { adding: ME, refused: 'selection_gone' })), 'adds'],
    ['nothing of it was sent', facts(standing('pending', { adding: ME })), 'adds']
  ]
  for (const [name, given, wanted] of table) t.equal(said(decideAdd(given)), wanted, name)
})

t.test('an add whose answer was lost is made once more only when the provider was asked since', async t => {
  const lost = (known: Standing | null): string => said(decideAdd(facts(known, { delivery: { key: ME, lostAt: NOW - 5 * MINUTE_MS } })))
  t.equal(lost(null), 'looks, whatever is known')
  t.equal(lost(standing('pending', { adding: ME, checkedAt: null })), 'looks, whatever is known')
  t.equal(lost(standing('pending', { adding: ME, checkedAt: NOW - 6 * MINUTE_MS })), 'looks, whatever is known')
  t.equal(lost(standing('pending', { adding: ME })), 'adds')
  for (const name of ['subscribed', 'transactional_only', 'opted_out'] as const) t.equal(lost(standing(name, { adding: ME })), 'already_on_list', name)
})

t.test('a message goes to subscribers, waits for whoever may become one, and is refused for others with the reason', async t => {
  const table: Array<[string, DecisionFacts, string, string]> = [
    ['nothing known', facts(null), 'looks', 'looks'],
    ['subscribed', facts(standing('subscribed')), 'sends', 'sends'],
    ['for orders only', facts(standing('transactional_only')), 'not_subscribed', 'not_subscribed'],
    ['for orders only, and one', facts(standing('transactional_only'), { kind: 'transactional' }), 'sends', 'sends'],
    ['opted out', facts(standing('opted_out')), 'opted_out', 'opted_out'],
    ['asked just now', facts(standing('pending', { askedAt: NOW, checkedAt: null })), 'waits opt_in_pending 15 min', 'waits opt_in_pending 15 min'],
    ['asked long ago', facts(standing('pending', { askedAt: NOW - DAY_MS, checkedAt: NOW - DAY_MS })), 'waits opt_in_pending 0 min', 'waits opt_in_pending 0 min'],
    ['not found', facts(standing('not_found')), 'not_subscribed', 'add first'],
    ['not found, and it may have been sent', facts(standing('not_found'), { delivery: { key: ME, lostAt: NOW } }), 'not_subscribed', 'not_subscribed'],
    ['being added', facts(standing('not_found', { adding: 9 }), { adderAlive: true }), 'not_subscribed', 'waits opt_in_pending'],
    ['being added, with trouble', facts(standing('not_found', { adding: 9, refused: 'selection_gone' }), { adderAlive: true }), 'not_subscribed', 'waits selection_gone'],
    ['added in vain', facts(standing('not_found', { refused: 'phone_refused' })), 'not_subscribed', 'not_subscribed because phone_refused']
  ]
  for (const [name, given, plain, added] of table) t.strictSame([said(decideMessage(given, false)), said(decideMessage(given, true))], [plain, added], name)
})

t.test('who is pending is looked at in growing distances, six hours at most', async t => {
  const minutes: number[] = []
  let checkedAt: number | null = null
  for (let i = 0; i < 12; i++) {
    const at: number = nextLookAt({ since: NOW, askedAt: NOW, checkedAt })
    minutes.push(Math.round((at - (checkedAt ?? NOW)) / MINUTE_MS))
    checkedAt = at
  }
  t.strictSame(minutes, [15, 15, 15, 23, 34, 51, 76, 114, 171, 256, 360, 360])
  t.equal(nextLookAt({ since: NOW, askedAt: null, checkedAt: null }), NOW + 15 * MINUTE_MS)
  t.notOk(isStale(standing('pending', { checkedAt: null }), NOW))
})
