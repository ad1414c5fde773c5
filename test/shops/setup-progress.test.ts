// How far a set-up is, from rows alone: what is open, what comes first, and which groups may send.

import t from 'tap'
import type { SetupStep } from '../../gateway/contract.ts'
import { groupsSetUp, standings, type SetupFacts } from '../../gateway/shops/setup/progress.ts'
import { keyOf, type StepRow } from '../../gateway/shops/setup/rows.ts'

const GROUPS = new Map([['stock', ['stock.alert', 'stock.reminder']], ['order', ['order.confirmed']]])

function step (id: string, kind: SetupStep['kind'], more: Partial<SetupStep> = {}): SetupStep {
  return { id, kind, title: id, text: id, needs: [], optional: false, when: null, recheck: 'hold', auth: null, fields: {}, check: null, options: null, setting: null, empty: null, choices: [], lookUps: [], findings: [], says: {}, ...more }
}

function row (id: string, subject = '', more: Partial<StepRow> = {}): [string, StepRow] {
  return [keyOf(id, subject), { step: id, subject, state: 'done', reason: null, detail: null, given: {}, found: {}, action: null, askedAt: 1, doneAt: 1, checkedAt: 1, ...more }]
}

const KEY = step('key', 'api_key', { auth: 'api_key' })
const OTHER_KEY = step('other', 'api_key', { auth: 'pair' })
const connection = (settings: Record<string, unknown> = {}, auth = 'api_key'): SetupFacts['connection'] => ({ platform: false, auth, accountId: '', settings, secrets: { api_key: 'k' } })

function facts (steps: SetupStep[], rows: Array<[string, StepRow]> = [], more: Partial<SetupFacts> = {}): SetupFacts {
  return { steps, groups: GROUPS, connection: connection(), refused: false, rows: new Map(rows), ...more }
}

/** `step subject` → state. */
function states (given: SetupFacts): Record<string, string> {
  return Object.fromEntries(standings(given).flatMap(({ step: { id }, items }) => items.map(({ subject, state }) => [`${id} ${subject}`.trim(), state])))
}

t.test('a step is blocked while one that it needs is open, and says which', async t => {
  const steps = [KEY, step('list', 'select', { needs: ['key'], setting: 'list' }), step('flow', 'confirm', { per: 'alert_type', needs: ['list', 'key'] })]
  t.strictSame(states(facts(steps, [], { connection: undefined })), { key: 'open', list: 'blocked', 'flow stock.alert': 'blocked', 'flow stock.reminder': 'blocked', 'flow order.confirmed': 'blocked' })
  t.strictSame(standings(facts(steps, [], { connection: undefined }))[2]?.items[0]?.missing, ['list', 'key'])
  t.strictSame(standings(facts(steps))[2]?.items[0]?.missing, ['list'])
  t.match(states(facts(steps, [], { connection: connection({ list: 'l1' }) })), { list: 'done', 'flow stock.alert': 'open' })
  t.match(states(facts(steps, [row('flow', 'stock.alert')])), { list: 'open', 'flow stock.alert': 'done', 'flow stock.reminder': 'blocked' }, 'what was done stays done')
})

t.test('two ways to connect: one is enough for whatever needs either, and the other is not needed', async t => {
  const steps = [KEY, OTHER_KEY, step('flow', 'confirm', { needs: ['key'] })]
  t.strictSame(states(facts(steps)), { key: 'done', other: 'not_needed', flow: 'open' })
  t.strictSame(states(facts(steps, [], { connection: connection({}, 'pair') })), { key: 'not_needed', other: 'done', flow: 'open' })
  t.strictSame(states(facts(steps, [row('key')], { connection: undefined })), { key: 'open', other: 'open', flow: 'blocked' }, 'disconnected')
  t.strictSame(states(facts(steps, [], { refused: true })), { key: 'failed', other: 'not_needed', flow: 'blocked' })
  t.strictSame(states(facts(steps, [row('key', '', { state: 'failed' })])), { key: 'done', other: 'not_needed', flow: 'open' }, 'a wrong key that was tried undoes nothing')
})

t.test('something asked for is running, whatever it was before; failed, where it was found so', async t => {
  const steps = [KEY, step('flow', 'verify', { needs: ['key'] })]
  t.equal(states(facts(steps, [row('flow', '', { action: 'verify' })]))['flow'], 'running')
  t.equal(states(facts(steps, [row('flow', '', { state: 'failed' })]))['flow'], 'failed')
  t.equal(states(facts(steps, [row('key', '', { action: 'check' }), row('flow', '', { state: 'open' })]))['flow'], 'open', 'a check of the key blocks nothing')
})

t.test('a choice per group: the steps of its other way are not needed there, and blocked where nothing is chosen', async t => {
  const steps = [step('way', 'choice', { per: 'setup_group' }), step('looked', 'verify', { per: 'alert_type', when: { step: 'way', is: 'a' } }), step('said', 'confirm', { per: 'setup_group', when: { step: 'way', is: 'b' } })]
  t.strictSame(states(facts(steps, [row('way', 'stock', { given: { value: 'a' } })])), {
    'way stock': 'done', 'way order': 'open',
    'looked stock.alert': 'open', 'looked stock.reminder': 'open', 'looked order.confirmed': 'blocked',
    'said stock': 'not_needed', 'said order': 'blocked'
  })
  t.strictSame(standings(facts(steps))[1]?.items[0]?.missing, ['way'])
  const chosen = [row('way', 'stock', { given: { value: 'b' } }), row('said', 'stock'), row('way', 'order', { given: { value: 'a' } })]
  t.strictSame(groupsSetUp(facts(steps, chosen)), ['stock'])
  t.strictSame(groupsSetUp(facts(steps, [...chosen, row('looked', 'order.confirmed')])), ['stock', 'order'])
})

t.test('a group is set up when all that counts of it is done: optional steps aside, and not while nothing is connected', async t => {
  const steps = [KEY, step('test', 'test_event', { per: 'alert_type', optional: true }), step('flow', 'confirm', { per: 'alert_type', needs: ['key'] })]
  const stock = [row('flow', 'stock.alert'), row('flow', 'stock.reminder')]
  t.strictSame(groupsSetUp(facts(steps)), [])
  t.strictSame(groupsSetUp(facts(steps, stock.slice(0, 1))), [])
  t.strictSame(groupsSetUp(facts(steps, stock)), ['stock'])
  t.strictSame(groupsSetUp(facts(steps, [...stock, row('flow', 'order.confirmed')])), ['stock', 'order'])
  t.strictSame(groupsSetUp(facts(steps, stock, { connection: undefined })), [])
  t.strictSame(groupsSetUp(facts(steps, stock, { refused: true })), ['stock'], 'the account is held for that, not the set-up')
  t.strictSame(groupsSetUp(facts([KEY])), ['stock', 'order'], 'nothing is to be done but to connect')
})

t.test('what is asked for once more is as it was until the answer: no message is held meanwhile', async t => {
  const steps = [KEY, step('list', 'select', { setting: 'list' }), step('flow', 'verify', { per: 'alert_type' })]
  const all = [...GROUPS.values()].flat().map(type => row('flow', type, { action: 'verify' }))
  t.strictSame(groupsSetUp(facts(steps, [...all, row('list', '', { action: 'refresh' })], { connection: connection({ list: 'l1' }) })), ['stock', 'order'])
  const first = [...GROUPS.values()].flat().map(type => row('flow', type, { action: 'verify', state: 'open', doneAt: null }))
  t.strictSame(groupsSetUp(facts(steps, first, { connection: connection({ list: 'l1' }) })), [])
})

t.test('found undone by a later check: held, or only warned of where the manifest says so; one that never was done counts', async t => {
  const undone = row('list', '', { state: 'failed', doneAt: 5 })
  for (const [recheck, groups] of [['hold', []], ['warn', ['stock', 'order']]] as const) {
    const steps = [KEY, step('list', 'select', { setting: 'list', recheck }), step('flow', 'confirm', { needs: ['list'] })]
    const given = facts(steps, [undone, row('flow')], { connection: connection({ list: 'l1' }) })
    t.equal(states(given)['list'], 'failed')
    t.strictSame(groupsSetUp(given), groups, recheck)
    t.equal(standings(given)[1]?.items[0]?.counts, recheck === 'hold')
    t.strictSame(groupsSetUp(facts(steps, [row('list', '', { state: 'failed', doneAt: null }), row('flow')])), [])
  }
})

t.test('a selection without a setting is kept in its row, one with a setting in the connection', async t => {
  const steps = [step('tone', 'select'), step('list', 'select', { setting: 'list' })]
  t.strictSame(states(facts(steps, [row('tone', '', { given: { value: 'a' } }), row('list')])), { tone: 'done', list: 'open' })
  t.strictSame(states(facts(steps, [], { connection: connection({ list: 'l1' }) })), { tone: 'open', list: 'done' })
})
