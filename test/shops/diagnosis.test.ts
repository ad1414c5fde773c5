// What is the matter, from facts alone: each cause, how certain it is, in which order, and what is left out.

import t from 'tap'
import { CAUSES, type Cause, type SetupStep } from '../../gateway/contract.ts'
import { REASONS, type Reason } from '../../gateway/reasons.ts'
import { causes } from '../../gateway/shops/diagnosis/causes.ts'
import type { Backlog, DiagnosisFacts, Recent } from '../../gateway/shops/diagnosis/facts.ts'
import type { FoundCause } from '../../gateway/shops/diagnosis/found.ts'
import { codeOf, fixOf } from '../../gateway/shops/diagnosis/texts.ts'
import { standings, type SetupFacts } from '../../gateway/shops/setup/progress.ts'
import { keyOf, type StepRow } from '../../gateway/shops/setup/rows.ts'

const NOW = Date.UTC(2026, 10, 22)
const GROUPS = new Map([['stock', ['stock.alert', 'stock.reminder']], ['order', ['order.confirmed']]])

function step (more: Partial<SetupStep> & Pick<SetupStep, 'id' | 'kind'>): SetupStep {
  return { title: `Do ${more.id}`, text: `How ${more.id} is done.`, needs: [], optional: false, when: null, recheck: 'hold', auth: null, fields: {}, check: null, options: null, setting: null, empty: null, choices: [], lookUps: [], findings: [], says: {}, ...more }
}

const KEY = step({ id: 'key', kind: 'api_key', auth: 'api_key', says: { credentials_refused: 'Invalid key.' } })
const LIST = step({ id: 'list', kind: 'select', needs: ['key'], empty: 'No lists yet.' })
const TEST = step({ id: 'test', kind: 'test_event', per: 'alert_type', needs: ['key'], optional: true })
const MADE = step({ id: 'made', kind: 'task', per: 'setup_group', needs: ['key'] })
const FLOW = step({
  id: 'flow', kind: 'verify', per: 'alert_type', needs: ['key'],
  findings: ([['name', 'flow_name_mismatch'], ['trigger', 'trigger_mismatch'], ['live', 'flow_not_live'], ['other', undefined]] as Array<[string, Cause | undefined]>).map(([id, cause]) => ({ id, of: 'x', text: 'Right.', otherwise: 'Wrong.', ...(cause && { cause }) }))
})

interface Given {
  steps?: SetupStep[]
  rows?: Array<Partial<StepRow> & { step: string }>
  connected?: boolean
  declared?: string[]
  more?: Partial<DiagnosisFacts>
}

/** A shop that is connected and has every step done, but for what is given. */
function factsWith ({ steps = [KEY], rows = [], connected = true, declared = [], more = {} }: Given = {}): DiagnosisFacts {
  const connection: SetupFacts['connection'] = connected ? { platform: false, accountId: '', auth: 'api_key', settings: {}, secrets: {} } : undefined
  const whole = rows.map((row): StepRow => ({ subject: '', state: 'open', reason: null, detail: null, given: {}, found: {}, action: null, askedAt: null, doneAt: null, checkedAt: null, ...row }))
  return {
    active: true,
    chosen: 'alpha',
    provider: { title: 'Alpha', possibleCauses: [] },
    refusal: null,
    connection: connected ? { platform: false, readable: true } : null,
    held: null,
    groups: [...GROUPS].map(([group, types]) => ({ group, ready: true, declared: declared.includes(group), types: types.map(type => ({ type, kind: group === 'stock' ? 'marketing' as const : 'transactional' as const, supported: true })) })),
    standings: standings({ steps, groups: GROUPS, connection, refused: false, rows: new Map(whole.map(row => [keyOf(row.step, row.subject), row])) }),
    backlogs: [],
    recent: [],
    ofPerson: false,
    ...more
  }
}

function delivery (state: Recent['state'], reason: Reason | null = null, more: Partial<Recent> = {}): Recent {
  return { id: 'dlv_1', type: 'stock.alert', provider: 'alpha', state, reason, createdAt: NOW, ...more }
}

function backlog (more: Partial<Backlog> = {}): Backlog { return { setupGroup: 'stock', waiting: 1240, ms: 240_000, limitedBy: 'window', ...more } }

function possible (code: Cause, more: Partial<NonNullable<DiagnosisFacts['provider']>['possibleCauses'][number]> = {}): Pick<DiagnosisFacts, 'provider'> {
  return { provider: { title: 'Alpha', possibleCauses: [{ code, when: 'delivered', kinds: ['marketing', 'transactional'], unlessDone: [], text: `Maybe ${code}.`, fix: 'Look there.', ...more }] } }
}

const flowRow = (wrong: string, more: object = {}) => ({ step: 'flow', subject: 'order.confirmed', state: 'failed' as const, reason: 'not_verified' as const, checkedAt: NOW, found: { findings: [{ id: wrong, ok: false, warns: false, text: `It is the ${wrong}.` }, { id: 'later', ok: null, warns: false, text: 'Nobody looked.' }], near: [], ...more } })
const flowDone = ['stock.alert', 'stock.reminder', 'order.confirmed'].map(subject => ({ step: 'flow', subject, state: 'done' as const, doneAt: NOW }))

/** The causes that are promised, each as what provokes it and the sentence, place or certainty that tell it. */
const TABLE: Array<[Cause, DiagnosisFacts, Partial<FoundCause>]> = [
  ['wrong_key', factsWith({ connected: false, rows: [{ step: 'key', state: 'failed', reason: 'credentials_refused', checkedAt: NOW }] }), { sentence: 'Invalid key.', where: { step: 'key', subject: null }, since: NOW }],
  ['wrong_key', factsWith({ more: { held: 'credentials_refused' } }), { sentence: 'Invalid key.', where: { step: 'key', subject: null } }],
  ['wrong_key', factsWith({ more: { connection: { platform: false, readable: false } } }), { sentence: 'The stored credentials of Alpha cannot be opened; connect again.' }],
  ['no_keywords', factsWith({ steps: [KEY, LIST], rows: [{ step: 'list', found: { options: [] }, checkedAt: NOW }] }), { sentence: 'No lists yet.', where: { step: 'list', subject: null } }],
  ['no_keywords', factsWith({ steps: [KEY, LIST], rows: [{ step: 'list', state: 'failed', reason: 'selection_gone', found: { options: [] } }] }), { sentence: 'No lists yet.' }],
  ['trigger_mismatch', factsWith({ steps: [KEY, FLOW], rows: [...flowDone.slice(0, 2), flowRow('trigger')] }), { sentence: 'It is the trigger.', where: { step: 'flow', subject: 'order.confirmed' }, since: NOW }],
  ['trigger_mismatch', factsWith({ more: { ...possible('trigger_mismatch'), recent: [delivery('delivered')] } }), { certain: false, where: { step: null, subject: null, delivery: 'dlv_1' } }],
  ['opt_in_missing', factsWith({ more: { recent: [delivery('rejected', 'opted_out')] } }), { certain: true, where: { step: null, subject: 'stock.alert', delivery: 'dlv_1' }, since: NOW }],
  ['opt_in_missing', factsWith({ more: { ...possible('opt_in_missing'), recent: [delivery('delivered')] } }), { certain: false, sentence: 'Maybe opt_in_missing.', fix: 'Look there.' }],
  ['flow_missing', factsWith({ steps: [KEY, FLOW], rows: flowDone.slice(0, 2) }), { where: { step: 'flow', subject: 'order.confirmed' } }],
  ['flow_missing', factsWith({ steps: [KEY, { ...FLOW, kind: 'confirm' }], rows: flowDone.slice(0, 2) }), { sentence: '"Do flow" is not done yet.' }],
  ['rate_limit', factsWith({ more: { backlogs: [backlog()] } }), { sentence: 'Alpha is limiting us; 1240 waiting, about 4 min.', where: { step: null, subject: 'stock' } }],
  ['rate_limit', factsWith({ more: { recent: [delivery('expired', 'expired_rate_limited')] } }), { sentence: 'Alpha rate limit exceeded: waiting took too long.' }],
  ['steps_skipped', factsWith({ steps: [KEY, LIST, { ...FLOW, needs: ['list'] }] }), { where: { step: 'list', subject: null } }],
  ['plan_too_low', factsWith({ more: { refusal: 'plan_too_low' } }), { fix: 'Upgrade to a plan that includes Alpha, or choose another provider.' }],
  ['not_connected', factsWith({ connected: false }), { sentence: 'Connect your Alpha account.', where: { step: 'key', subject: null } }],
  ['scopes_missing', factsWith({ more: { held: 'scope_missing' } }), { where: { step: 'key', subject: null } }],
  ['scopes_missing', factsWith({ steps: [KEY, FLOW], rows: [...flowDone.slice(0, 2), { ...flowDone[2]!, reason: 'scope_missing', detail: 'lacks flows:read' }] }), { sentence: 'Alpha did not grant what is needed; connect again and grant it. (lacks flows:read)' }],
  ['setup_failed', factsWith({ steps: [KEY, MADE], rows: [{ step: 'made', subject: 'stock', state: 'done', doneAt: NOW }, { step: 'made', subject: 'order', state: 'failed', reason: 'provider_failing', detail: 'HTTP 500', checkedAt: NOW }] }), { where: { step: 'made', subject: 'order' }, sentence: 'Alpha answered with an error; it is tried again. (HTTP 500)' }],
  ['flow_name_mismatch', factsWith({ steps: [KEY, FLOW], rows: [...flowDone.slice(0, 2), flowRow('name', { near: ['Flow one', 'Flow two'] })] }), { fix: 'Enter the flow\'s name exactly as it is at Alpha; capitals and spaces count. There is: "Flow one", "Flow two".' }],
  ['flow_not_live', factsWith({ steps: [KEY, FLOW], rows: [...flowDone.slice(0, 2), flowRow('live')] }), { sentence: 'It is the live.', certain: true }],
  ['sms_not_enabled', factsWith({ more: { recent: [delivery('rejected', 'country_not_enabled')] } }), { certain: true }],
  ['sms_not_enabled', factsWith({ more: { ...possible('sms_not_enabled'), recent: [delivery('delivered')] } }), { certain: false }],
  ['quiet_hours', factsWith({ more: { recent: [delivery('waiting', 'quiet_hours')] } }), { certain: true }],
  ['quiet_hours', factsWith({ more: { ...possible('quiet_hours', { kinds: ['marketing'] }), recent: [delivery('delivered')] } }), { certain: false }]
]

t.test('G4: each of the fifteen causes is found, for certain or as possible, with what to do', async t => {
  for (const [code, facts, expected] of TABLE) {
    const found = causes(facts)
    t.strictSame(found.map(one => one.code), [code], `${code} and nothing else`)
    t.match(found[0], { certain: true, fix: /\w\.$/, sentence: /\w/, ...expected }, code)
  }
  const promised = ['wrong_key', 'no_keywords', 'trigger_mismatch', 'opt_in_missing', 'flow_missing', 'rate_limit', 'steps_skipped', 'plan_too_low', 'not_connected', 'scopes_missing', 'setup_failed', 'flow_name_mismatch', 'flow_not_live', 'sms_not_enabled', 'quiet_hours']
  t.strictSame(promised.filter(code => !TABLE.some(([one]) => one === code)), [])
})

t.test('where all is well nothing is found, and what was delivered is no cause by itself', async t => {
  t.strictSame(causes(factsWith()), [])
  t.strictSame(causes(factsWith({ steps: [KEY, LIST, FLOW, TEST], rows: [...flowDone, { step: 'list', state: 'done', doneAt: NOW }], more: { recent: [delivery('delivered'), delivery('delivered', 'accepted_elsewhere'), delivery('waiting'), delivery('sending')], backlogs: [backlog({ ms: 900 }), backlog({ limitedBy: 'concurrency' }), backlog({ ms: null }), backlog({ waiting: 0 })] } })), [])
})

t.test('what is wrong is told in the order of putting it right: shop, plan, account, set-up, messages, guesses', async t => {
  const facts = factsWith({
    steps: [KEY, LIST, FLOW],
    rows: [flowRow('live')],
    more: {
      ...possible('opt_in_missing'), active: false, refusal: 'plan_too_low', held: 'credentials_refused', backlogs: [backlog()],
      recent: [delivery('rejected', 'phone_refused'), delivery('delivered', null, { id: 'dlv_2' })]
    }
  })
  t.strictSame(causes(facts).map(({ code, where: { step, subject } }) => [code, step, subject]), [
    ['shop_inactive', null, null], ['plan_too_low', null, null], ['wrong_key', 'key', null], ['steps_skipped', 'list', null], ['flow_missing', 'flow', 'stock.alert'], ['flow_missing', 'flow', 'stock.reminder'],
    ['flow_not_live', 'flow', 'order.confirmed'], ['rate_limit', null, 'stock'], ['phone_refused', null, 'stock.alert'], ['opt_in_missing', null, null]
  ])
})

t.test('what follows from another is not told twice', async t => {
  t.match(causes(factsWith({ more: { connection: { platform: false, readable: false }, held: 'credentials_refused' } })), [{ code: 'wrong_key', sentence: /cannot be opened/ }])
  t.equal(causes(factsWith({ more: { connection: { platform: false, readable: false }, held: 'credentials_refused' } })).length, 1)
})

t.test('without a provider, or with one that is gone, nothing else is looked at', async t => {
  for (const [more, code] of [[{ chosen: null, provider: null }, 'no_provider'], [{ provider: null }, 'provider_unknown']] as const) {
    t.strictSame(causes(factsWith({ more: { ...more, recent: [delivery('rejected', 'phone_refused')], backlogs: [backlog()], held: 'credentials_refused' } })).map(one => one.code), [code])
  }
})

t.test('steps of a group that is declared to be set up are believed; one that was looked at and is wrong is told', async t => {
  const all = { steps: [KEY, LIST, FLOW], declared: ['stock', 'order'] }
  t.strictSame(causes(factsWith(all)), [])
  t.strictSame(causes(factsWith({ ...all, rows: [flowRow('live')] })).map(({ code }) => code), ['flow_not_live'])
  t.strictSame(causes(factsWith({ ...all, declared: ['stock'], rows: [{ step: 'list', state: 'done', doneAt: NOW }] })).map(({ code, where }) => [code, where.subject]), [['flow_missing', 'order.confirmed']])
})

t.test('optional, blocked and running steps are no cause; what a verification warns of is', async t => {
  const second = { step: 'flow', subject: 'stock.alert', state: 'done' as const, doneAt: NOW, found: { findings: [{ id: 'other', ok: false, warns: true, text: 'Another one listens.' }] } }
  t.match(causes(factsWith({ steps: [KEY, FLOW, TEST], rows: [second, ...flowDone.slice(1)] })), [{ code: 'verified_with_warning', sentence: 'Another one listens.', where: { step: 'flow', subject: 'stock.alert' } }])
  t.strictSame(causes(factsWith({ steps: [KEY, MADE], rows: ['stock', 'order'].map(subject => ({ step: 'made', subject, action: 'run', askedAt: NOW })) })), [])
})

t.test('a finding that names no cause, and a step that says nothing, have failed', async t => {
  t.match(causes(factsWith({ steps: [KEY, FLOW], rows: [...flowDone.slice(0, 2), flowRow('other')] })), [{ code: 'setup_failed', sentence: 'It is the other.' }])
  t.match(causes(factsWith({ steps: [KEY, TEST], rows: [{ step: 'test', subject: 'stock.alert', state: 'failed', reason: 'payload_refused', detail: 'no such topic' }] })), [{ code: 'setup_failed', sentence: 'Alpha refused the message. (no such topic)' }])
  t.match(causes(factsWith({ steps: [KEY, TEST], rows: [{ step: 'test', subject: 'stock.alert', state: 'failed' }] })), [{ code: 'setup_failed', sentence: '"Do test" failed.' }])
})

t.test('a guess is made only where it can apply: something was delivered, of that kind, and nobody looked', async t => {
  const told = (more: object, recent: Recent[], given: Given = {}) => causes(factsWith({ ...given, more: { ...possible('flow_not_live', more), recent } })).filter(({ certain }) => !certain).map(({ code }) => code)
  t.strictSame(told({}, [delivery('rejected', 'no_phone')]), [])
  t.strictSame(told({}, [delivery('unknown', 'no_answer')]), [])
  t.strictSame(told({ kinds: ['transactional'] }, [delivery('delivered')]), [])
  t.strictSame(told({ kinds: ['transactional'] }, [delivery('delivered', null, { type: 'order.confirmed' })]), ['flow_not_live'])
  const verified = { steps: [KEY, FLOW], rows: flowDone.slice(0, 1), declared: ['stock', 'order'] }
  t.strictSame(told({ unlessDone: ['flow'] }, [delivery('delivered')], verified), [], 'this one was looked at')
  t.strictSame(told({ unlessDone: ['flow'] }, [delivery('delivered', null, { type: 'order.confirmed' })], verified), ['flow_not_live'])
  t.strictSame(told({ when: 'always' }, []), ['flow_not_live'])
  t.strictSame(told({ when: 'always' }, [], { connected: false }), [], 'nothing is to be guessed where nothing is connected')
  t.strictSame(told({}, [delivery('delivered')], { ...verified, rows: [flowRow('live')] }), [], 'it is certain already')
})

t.test('of deliveries the newest of each kind is named, once for each reason; those held or on their way are not', async t => {
  const recent = [
    delivery('rejected', 'phone_refused', { id: 'new' }), delivery('rejected', 'phone_refused', { id: 'old' }), delivery('rejected', 'phone_refused', { id: 'order', type: 'order.confirmed' }),
    delivery('held', 'setup_open'), delivery('waiting', 'deferred'), delivery('unknown', 'no_answer', { id: 'open' })
  ]
  t.strictSame(causes(factsWith({ more: { recent } })).map(({ code, where }) => [code, where.delivery]), [['phone_refused', 'new'], ['phone_refused', 'order'], ['no_answer', 'open']])
  t.strictSame(causes(factsWith({ more: { recent: [delivery('waiting', 'rate_limited')], backlogs: [backlog()] } })).map(({ code }) => code), ['rate_limit'], 'a backlog says it better')
})

t.test('of a customer for whom nothing came in that is what is said', async t => {
  t.match(causes(factsWith({ more: { ofPerson: true } })), [{ code: 'no_event', certain: true }])
  t.strictSame(causes(factsWith({ more: { ofPerson: true, recent: [delivery('delivered')] } })), [])
})

t.test('at the platform\'s account nothing is to be set up by the shop', async t => {
  const more = { connection: { platform: true, readable: true } }
  t.strictSame(causes(factsWith({ steps: [KEY, FLOW], more })), [])
  t.match(causes(factsWith({ steps: [KEY], more: { ...more, held: 'platform_account_refused' } })), [{ code: 'platform_account_refused', where: { step: null } }])
})

t.test('a kind of message that the provider cannot send is named', async t => {
  const [first, ...rest] = factsWith().groups
  t.match(causes(factsWith({ more: { groups: [{ ...first!, types: first!.types.map(one => ({ ...one, supported: false })) }, ...rest] } })), [{ code: 'event_not_supported', where: { subject: 'stock.alert' } }, { code: 'event_not_supported', where: { subject: 'stock.reminder' } }])
})

t.test('C6: a test event that was accepted and not found is named, one that is awaited or has arrived is not', async t => {
  const withState = (state: string) => causes(factsWith({ steps: [KEY, { ...TEST, says: { not_arrived: 'It got lost.' } }], rows: [{ step: 'test', subject: 'stock.alert', state: 'done', doneAt: NOW, found: { arrival: { state } } }] }))
  t.match(withState('not_found'), [{ code: 'not_arrived', certain: true, sentence: 'It got lost.', where: { step: 'test', subject: 'stock.alert' } }])
  for (const state of ['awaited', 'arrived', 'not_looked']) t.strictSame(withState(state), [], state)
})

t.test('C11: a message that goes no further for lack of consent is named, though it was handed over', async t => {
  t.match(causes(factsWith({ more: { recent: [delivery('delivered', 'no_sms_consent')] } })), [{ code: 'no_sms_consent', certain: true, where: { subject: 'stock.alert', delivery: 'dlv_1' } }])
})

t.test('C11: of a customer who is known to want no texts, what the provider took goes no further, for certain', async t => {
  const facts = (more: Partial<DiagnosisFacts>) => causes(factsWith({ more: { ...possible('no_sms_consent'), ofPerson: true, ...more } }))
  t.match(facts({ optedOutAt: NOW, recent: [delivery('delivered')] }), [{ code: 'no_sms_consent', certain: true, since: NOW, where: { subject: 'stock.alert', delivery: 'dlv_1' } }])
  t.equal(facts({ optedOutAt: NOW, recent: [delivery('delivered'), delivery('delivered', 'no_sms_consent')] }).length, 1)
  t.match(facts({ optedOutAt: null, recent: [delivery('delivered')] }), [{ code: 'no_sms_consent', certain: false }])
  t.strictSame(facts({ optedOutAt: NOW, recent: [delivery('waiting'), delivery('delivered', null, { type: 'a.sync' })] }), [])
})

t.test('there is something to do about every cause and every reason, without a place for a name left in it', async t => {
  for (const code of [...CAUSES, ...Object.keys(REASONS) as Reason[]]) t.match(fixOf(code, 'Alpha'), /^[A-Z][^{}]+\.$/, code)
  for (const reason of Object.keys(REASONS) as Reason[]) t.ok(Object.hasOwn(REASONS, codeOf(reason)) || (CAUSES as readonly string[]).includes(codeOf(reason)), reason)
})
