// What every store must keep of erasing and gathering people's data, and of a shop's life.

import type { Test } from 'tap'
import { STATE, type Row, type Step, type Store, type Value } from '../../gateway/contract.ts'
import type { Open } from './store.ts'
import { archiveStep, claim, deliveryOf, HERE, NOW, one, place, put, queueOf, sent, settleStep, startStep, type Place } from './store-rows.ts'

const ADA = Uint8Array.of(1, 2)
const BEN = Uint8Array.of(3, 4)
const SEALED = { key_id: 'k1', version: 1, sealed: Uint8Array.of(7) }
const DIGEST = Uint8Array.of(9)

const asked = (shopKey: number, id: string, kind = 'redact', more: Record<string, Value> = {}): Step => ({ name: 'put_privacy', params: { id, shop_key: shopKey, kind, at: NOW, marks: '["0102"]', ...SEALED, event_key: null, ...more } })
const plain = (rows: readonly Row[]): Row[] => rows.map(row => ({ ...row }))
const shopOf = async (store: Store, id = 'acme.example'): Promise<Row> => (await store.read('shop', { id }))[0] as Row
const about = (place: Place) => ({ shop_key: place.shopKey })

export async function privacy (t: Test, open: Open): Promise<void> {
  await t.test('what is asked for is kept once, done once, and its marks outlive it', async t => {
    const { store, reopen } = await open(t)
    const at = await place(store)
    const event = await put(store, at)
    const mark = (id: string, when: number) => one(store, 'put_mark', { id, shop_key: at.shopKey, mark: ADA, at: when })
    t.equal((await store.commit([asked(at.shopKey, 'prv_1', 'redact', { event_key: event.eventKey })]))[0]?.changes, 1)
    t.equal((await store.commit([asked(at.shopKey, 'prv_0', 'redact', { event_key: event.eventKey + 999 })]))[0]?.changes, 0, 'of a repeat')
    t.strictSame([(await mark('prv_1', NOW)).changes, (await mark('prv_0', NOW)).changes], [1, 0])
    await mark('prv_1', NOW - 5)
    t.equal((await one(store, 'audit_privacy', { id: 'prv_1', at: NOW, actor: 'x', action: 'privacy.redact', shop: at.shop })).changes, 1)
    t.equal((await one(store, 'audit_privacy', { id: 'prv_0', at: NOW, actor: 'x', action: 'privacy.redact', shop: at.shop })).changes, 0)
    await store.commit([asked(at.shopKey, 'prv_2', 'export', { at: NOW - 1 })])
    const again = await reopen()
    t.match(await again.read('open_privacy', { ...about(at), id: null }), [{ id: 'prv_2', kind: 'export', at: NOW - 1, marks: '["0102"]', key_id: 'k1' }], 'the oldest first')
    t.match(await again.read('open_privacy', { ...about(at), id: 'prv_1' }), [{ id: 'prv_1' }], 'but for one that was begun')
    t.match(await again.read('open_redactions', about(at)), [{ id: 'prv_1', at: NOW }])
    const end = () => one(again, 'end_privacy', { id: 'prv_2', now: NOW + 1, found: '{"events":2}' })
    t.strictSame([(await end()).changes, (await end()).changes], [1, 0])
    t.match(await again.read('privacy_by_id', { id: 'prv_2', shop_key: at.shopKey }), [{ kind: 'export', done_at: NOW + 1, found: '{"events":2}', gathered_at: null }])
    t.strictSame(await again.read('privacy_by_id', { id: 'prv_2', shop_key: at.shopKey + 1 }), [])
    t.strictSame((await again.read('list_privacy', { ...about(at), before_id: 'prw', limit: 1 })).map(({ id }) => id), ['prv_2'])
    t.strictSame((await again.read('list_privacy', { ...about(at), before_id: 'prv_2', limit: 9 })).map(({ id }) => id), ['prv_1'])
    t.equal((await one(again, 'forget_privacy_marks', about(at))).changes, 1, 'of what is done')
    t.equal((await one(again, 'forget_marks', about(at))).changes, 1, 'one mark, however often it was put')
  })

  await t.test('who is erased is sent nothing from the same commit on: not what waits, not what is claimed, not what is doubtful', async t => {
    const { store } = await open(t)
    const at = await place(store)
    const [claimed, sending, other, later] = [await put(store, at, { person: ADA }), await put(store, at, { person: ADA }), await put(store, at, { person: BEN }), await put(store, at, { person: ADA, at: NOW + 10, dueAt: NOW + 10 })]
    await claim(store, at)
    await store.commit([startStep(store, sending.deliveryKey, { accountKey: at.accountKey })])
    const unsure = await put(store, at, { person: ADA })
    await claim(store, at)
    await store.commit([startStep(store, unsure.deliveryKey, { accountKey: at.accountKey }), settleStep(store, unsure.deliveryKey, { state: STATE.unknown, reason: 'no_answer', finished_at: null, due_at: NOW + 1 })])
    const of = { id: 'prv_1', shop_key: at.shopKey, person: ADA, at: NOW, now: NOW }
    const results = await store.commit([asked(at.shopKey, 'prv_1'), { name: 'redact_waiting_of', params: of }, { name: 'redact_unsure_of', params: of }])
    t.strictSame(results.map(({ changes }) => changes), [1, 1, 1])
    t.match(await deliveryOf(store, claimed), { state: STATE.rejected, reason: 'redacted', owner: null, finished_at: NOW })
    t.match(await deliveryOf(store, unsure), { state: STATE.unknown, reason: 'redacted', due_at: null, finished_at: NOW })
    const word = { delivery_key: unsure.deliveryKey, call_no: 1, detail: 'about Ada' }
    t.equal((await one(store, 'resolve_unknown', { ...word, state: STATE.unknown, reason: 'no_answer', due_at: null, finished_at: NOW })).changes, 0, 'what is found out later is not written')
    t.equal((await one(store, 'adopt_answer', { ...word, account_key: at.accountKey, state: STATE.delivered, reason: 'accepted_elsewhere', receipt: 'M1', now: NOW })).changes, 0)
    t.match(await deliveryOf(store, other), { state: STATE.waiting, reason: null })
    t.match(await deliveryOf(store, later), { state: STATE.waiting, reason: null }, 'another life')
    t.equal((await store.commit([startStep(store, claimed.deliveryKey)]))[0]?.changes, 0, 'its claim is gone')
    t.match(await deliveryOf(store, sending), { state: STATE.sending })
    t.equal((await one(store, 'redact_waiting_of', { ...of, id: 'prv_none' })).changes, 0)
  })

  await t.test('a claim says who is erased, and where somebody is just being erased', async t => {
    const { store } = await open(t)
    const at = await place(store)
    const flags = async (key: number) => (await store.read('claimed', { keys: JSON.stringify([key]) })).map(({ redacted, redacting }) => [redacted, redacting])[0]
    const [ada, ben, late] = [await put(store, at, { person: ADA, at: NOW - 1 }), await put(store, at, { person: BEN }), await put(store, at, { person: ADA, at: NOW + 1 })]
    t.strictSame(await flags(ada.deliveryKey), [0, 0])
    await store.commit([asked(at.shopKey, 'prv_1'), { name: 'put_mark', params: { id: 'prv_1', shop_key: at.shopKey, mark: ADA, at: NOW } }])
    t.strictSame([await flags(ada.deliveryKey), await flags(ben.deliveryKey), await flags(late.deliveryKey)], [[1, 1], [0, 1], [0, 1]])
    await one(store, 'end_privacy', { id: 'prv_1', now: NOW, found: '{}' })
    await one(store, 'redact_event', { event_key: ben.eventKey, digest: DIGEST, now: NOW })
    t.strictSame([await flags(ada.deliveryKey), await flags(ben.deliveryKey)], [[1, 0], [1, 0]])
  })

  await t.test('of an event nothing stays but that it was, and what it counts', async t => {
    const { store } = await open(t)
    const at = await place(store)
    const event = await sent(store, at, { person: ADA, data: '{"name":"Ada"}' })
    const other = await sent(store, at, { person: BEN })
    await one(store, 'retry_delivery', { delivery_key: event.deliveryKey, now: NOW, expires_at: NOW + 1000, unknown: 0 })
    await store.commit([{ name: 'insert_again', params: { delivery_key: store.nextKey('deliveries'), id: 'dlv_again', event_key: event.eventKey, first_key: event.deliveryKey, now: NOW, expires_at: NOW + 1000, record_only: 0, unknown: 1, since: 0 } }])
    t.match(await store.read('events_of_shop', { ...about(at), after_id: '', after_source: '', limit: 9 }), [{ data: '{"name":"Ada"}' }, { event_key: other.eventKey }])
    const [first] = await store.read('events_of_shop', { ...about(at), after_id: '', after_source: '', limit: 1 })
    t.equal((await store.read('events_of_shop', { ...about(at), after_id: first?.source_id as string, after_source: first?.source as string, limit: 9 })).length, 1)
    await claim(store, at)
    const [again] = await store.read('family', { event_key: event.eventKey, first_key: event.deliveryKey }).then(rows => rows.filter(({ id }) => id === 'dlv_again'))
    const key = again?.delivery_key as number
    await store.commit([startStep(store, key, { accountKey: at.accountKey, body: 'Ada 1' }), settleStep(store, key, { state: STATE.waiting, due_at: NOW, finished_at: null, answer: 'Ada', receipt: 'r-1' })])
    await claim(store, at)
    await store.commit([archiveStep(store, key), startStep(store, key, { accountKey: at.accountKey, body: 'Ada 2' })])
    await one(store, 'audit_again', { at: NOW, actor: 'x', action: 'delivery.send_again', shop: at.shop, subject: `${event.id} dlv_again`, reason: 'Ada called', delivery_key: key })
    t.equal((await store.read('deliveries_of_person', { event_key: event.eventKey })).length, 2)
    t.match(await store.read('calls_of_event', { event_key: event.eventKey }), [{ request_body: 'Ada 1', answer: 'Ada' }])
    const of = { event_key: event.eventKey }
    const erase = () => store.commit([
      { name: 'redact_waiting', params: { ...of, now: NOW } }, { name: 'redact_unsure', params: { ...of, now: NOW } }, { name: 'redact_reports', params: { ...of, now: NOW } }, { name: 'redact_calls', params: of },
      { name: 'redact_contents', params: of }, { name: 'redact_reasons', params: { ...of, shop: at.shop } }, { name: 'redact_event', params: { ...of, digest: DIGEST, now: NOW } }
    ])
    await erase()
    t.strictSame((await store.read('still_sent', { keys: JSON.stringify([event.eventKey, other.eventKey]) })).map(row => row.event_key), [event.eventKey], 'one is on the wire')
    t.match((await store.read('delivery_by_id', { id: 'dlv_again' }))[0], { state: STATE.sending, request_body: null, data: null, person: null, redacted_at: NOW })
    t.match(await deliveryOf(store, event), { state: STATE.delivered, request_body: null, answer: null, status: 202 })
    t.match(await deliveryOf(store, other), { data: '{"a":1}', answer: '{}' })
    t.strictSame(await store.read('calls_of_event', of), [], 'calls belong to nobody')
    await store.commit([settleStep(store, key, { answer: 'Ada', state: STATE.unknown, finished_at: null, due_at: NOW })])
    await erase()
    t.match((await store.read('delivery_by_id', { id: 'dlv_again' }))[0], { state: STATE.unknown, answer: null, finished_at: NOW })
    t.strictSame(await store.read('still_sent', { keys: JSON.stringify([event.eventKey]) }), [])
    t.equal((await one(store, 'forget_calls', { before: NOW, limit: 10 })).changes, 1, 'and go when no window counts them')
    t.equal((await one(store, 'forget_reasons_of', { shop: at.shop })).changes, 0, 'the reason that a person gave is gone')
  })

  await t.test('what came from outside is emptied or forgotten, but not under the hands of who works on it', async t => {
    const { store } = await open(t)
    const at = await place(store)
    const box = async (id: string, shop: string | null, subject: string | null = null): Promise<number> => {
      const key = store.nextKey('inbox')
      await one(store, 'insert_inbox', { inbox_key: key, id, source: 'hook', topic: 't', shop, subject, headers: '{"a":"b"}', body: 'Ada', received_at: NOW, state: 1, reason: null, detail: null, due_at: NOW, settled_at: null, keys: '[]' })
      return key
    }
    const [first, second] = [await box('inb_1', at.shop), await box('inb_2', 'globex.example')]
    const [end] = await store.read('inbox_slice', { after_key: 0, limit: 10 })
    t.equal(end?.inbox_key, second)
    t.equal((await store.read('inbox_slice', { after_key: second, limit: 10 }))[0]?.inbox_key, null)
    const slice = { shop: at.shop, after_key: 0, until_key: second }
    t.match(await store.read('inbox_of_shop', { ...slice, at: NOW, limit: 9 }), [{ inbox_key: first, body: 'Ada', owner: null }])
    t.strictSame(await store.read('inbox_of_shop', { ...slice, at: NOW - 1, limit: 9 }), [])
    await one(store, 'claim_inbox', { source: 'hook', owner: store.owner, epoch: store.epoch, now: NOW, limit: 9 })
    t.equal((await one(store, 'redact_inbox', { inbox_key: first, now: NOW })).changes, 0)
    t.equal((await one(store, 'forget_inbox_of_shop', slice)).changes, 0)
    await one(store, 'release_inbox', { owner: store.owner, epoch: store.epoch })
    t.equal((await one(store, 'redact_inbox', { inbox_key: first, now: NOW })).changes, 1)
    t.match((await store.read('inbox_by_id', { id: 'inb_1' }))[0], { body: null, headers: '{}', state: 3, reason: 'redacted', due_at: null, settled_at: NOW })
    t.match((await store.read('inbox_by_id', { id: 'inb_2' }))[0], { body: 'Ada', state: 1 })
    const event = await sent(store, at)
    await box('inb_3', null, event.id)
    t.equal((await one(store, 'redact_reports', { event_key: event.eventKey, now: NOW })).changes, 1, 'a report about a message')
    await box('inb_4', null, 'other')
    t.equal((await one(store, 'redact_report', { id: 'inb_4', now: NOW })).changes, 1, 'one that comes after')
    t.match((await store.read('inbox_by_id', { id: 'inb_4' }))[0], { body: null, reason: 'redacted', subject: 'other' })
    t.equal((await one(store, 'forget_inbox_of_shop', slice)).changes, 1)
  })

  await t.test('a person leaves the lists of a shop, unless another shop of the account has them', async t => {
    const { store } = await open(t)
    const [a, b] = [await place(store), await place(store, { shop: 'globex.example' })]
    const list = async (person: Uint8Array): Promise<void> => { await one(store, 'learn_subscriber', { account_key: a.accountKey, person, standing: 'subscribed', now: NOW, ref: null, due_at: null, wants: 0, before: 0 }) }
    const notice = (id: string) => one(store, 'put_notice', { id, account_key: a.accountKey, ref: null, standing: null, at: NOW, ...SEALED, due_at: NOW })
    await Promise.all([list(ADA), list(BEN), notice('n-ada'), notice('n-ben')])
    await put(store, a, { person: ADA })
    await put(store, b, { person: BEN })
    const gone = async (name: string, more: Record<string, Value>): Promise<number> => (await one(store, name, { shop_key: a.shopKey, ...more })).changes
    t.match(await store.read('standings_of_person', { shop_key: a.shopKey, person: ADA }), [{ provider: 'alpha', standing: 'subscribed' }])
    t.strictSame(plain(await store.read('accounts_of_shop', { shop_key: a.shopKey })), [{ account_key: a.accountKey }])
    t.strictSame([await gone('forget_subscriber', { person: ADA }), await gone('forget_subscriber', { person: BEN })], [1, 0])
    t.strictSame([await gone('forget_notice', { id: 'n-ada', person: ADA }), await gone('forget_notice', { id: 'n-ben', person: BEN })], [1, 0])
    const of = { account_key: a.accountKey }
    t.equal((await one(store, 'forget_list_of', { ...of, limit: 10 })).changes, 0, 'somebody is connected')
    for (const { shopKey } of [a, b]) await one(store, 'delete_connection', { shop_key: shopKey, provider: 'alpha' })
    const platforms = (account: string | null) => one(store, 'declare_account', { provider: 'alpha', account: account ?? '', declared: 'it' })
    await platforms(a.account)
    t.strictSame([(await one(store, 'forget_list_of', { ...of, limit: 10 })).changes, (await one(store, 'forget_notices_of', of)).changes], [0, 0], 'of the platform\'s account, which other shops send over')
    await platforms(null)
    t.strictSame([(await one(store, 'forget_list_of', { ...of, limit: 0 })).changes, (await one(store, 'forget_list_of', { ...of, limit: 10 })).changes, (await one(store, 'forget_notices_of', of)).changes, (await one(store, 'forget_tasks_of', of)).changes], [0, 1, 1, 0])
    await notice('n-old')
    t.strictSame([(await one(store, 'forget_notices', { before: NOW - 1, limit: 10 })).changes, (await one(store, 'forget_notices', { before: NOW, limit: 10 })).changes], [0, 1])
    t.equal((await one(store, 'forget_webhook_removals', { before: NOW, limit: 10 })).changes, 0)
  })

  await t.test('why somebody wants no more messages goes; that they want none stays', async t => {
    const { store } = await open(t)
    const [a, b] = [await place(store), await place(store, { shop: 'globex.example' })]
    for (const { shopKey, shop } of [a, b]) {
      for (const person of [ADA, BEN]) {
        await one(store, 'opt_out_shop', { person, shop_key: shopKey, at: NOW, via: 'api', by_account_key: null, reason: 'Called us.' })
        await one(store, 'audit_opt_out', { at: NOW, actor: 'me', action: 'opt_out.put', shop, subject: Buffer.from(person).toString('hex'), reason: 'Called us.' })
      }
    }
    const reasons = async (): Promise<unknown[]> => (await Promise.all([a, b].flatMap(({ shopKey }) => [ADA, BEN].map(person => store.read('opt_outs_seen', { shop_key: shopKey, person }))))).flat().map(row => [row.reason, row.lifted_at])
    const gone = async (name: string, params: Record<string, Value>): Promise<number> => (await one(store, name, params)).changes
    const [kept, blank] = [['Called us.', null], [null, null]]
    t.strictSame([await gone('redact_opt_out', { ...about(a), person: ADA }), await gone('redact_opt_out', { ...about(a), person: ADA })], [1, 0])
    t.strictSame(await reasons(), [blank, kept, kept, kept])
    t.equal(await gone('redact_opt_out_audit', { shop: a.shop, subject: '0102' }), 1)
    t.equal(await gone('forget_opt_outs_of', about(a)), 1)
    t.strictSame(await reasons(), [blank, blank, kept, kept])
    t.equal(await gone('forget_reasons_of', { shop: a.shop }), 1, 'of Ben, in the audit')
  })

  await t.test('what was gathered is kept in parts, once each, and goes after its time', async t => {
    const { store } = await open(t)
    const at = await place(store)
    await store.commit([asked(at.shopKey, 'prv_1', 'export')])
    const part = (name: string, byte: number, now = NOW) => one(store, 'put_part', { id: 'prv_1', part: name, ...SEALED, sealed: Uint8Array.of(byte), now })
    await part('events 2', 1)
    await part('events 1', 2, NOW + 5)
    await part('events 2', 3)
    t.strictSame((await store.read('parts', { id: 'prv_1' })).map(({ part, sealed }) => [part, (sealed as Uint8Array)[0]]), [['events 1', 2], ['events 2', 3]])
    t.match(await store.read('gathered_of_shop', about(at)), [{ id: 'prv_1', marks: '["0102"]' }])
    t.match(await store.read('privacy_by_id', { id: 'prv_1', shop_key: at.shopKey }), [{ gathered_at: NOW }])
    t.equal((await one(store, 'forget_privacy_parts', { before: NOW, limit: 10 })).changes, 1)
    t.equal((await one(store, 'drop_parts', { id: 'prv_1' })).changes, 1)
    t.strictSame(await store.read('gathered_of_shop', about(at)), [])
  })

  await t.test('a shop\'s life: of each fact the latest word counts; a shop that is erased has none', async t => {
    const { store } = await open(t)
    const at = await place(store)
    const told = (name: string, when: number, more: Record<string, Value>) => one(store, name, { ...about(at), event_key: null, at: when, now: NOW, ...more })
    const changes = async (results: Array<Promise<{ changes: number }>>): Promise<number[]> => (await Promise.all(results)).map(one => one.changes)
    t.strictSame([(await told('set_shop_status', 5, { life: 'uninstalled' })).changes, (await told('set_shop_status', 4, { life: 'installed' })).changes, (await told('set_shop_status', 6, { life: 'installed', event_key: 999 })).changes], [1, 0, 0])
    t.match(await shopOf(store), { status: 'uninstalled', status_at: 5, version: 1 })
    await one(store, 'hold_shop', about(at))
    t.equal((await queueOf(store, at.shopKey)).held_reason, 'shop_uninstalled')
    t.strictSame([(await told('set_shop_plan', 3, { plan: 'free' })).changes, (await told('set_shop_plan', 2, { plan: 'pro' })).changes, (await told('note_shop_plan', 4, { plan: 'odd' })).changes], [1, 0, 1])
    t.strictSame(await changes([told('set_shop_profile', 3, { name: 'Blooms', domain: null })]), [1])
    t.match(await shopOf(store), { plan: 'free', plan_told: 'odd', name: 'Blooms', domain: 'acme.example', status: 'uninstalled' })
    t.match(await store.read('connections_after', { after: 0, limit: 9 }), [], 'nobody looks after it')
    t.equal((await told('erase_shop_begin', 4, { event_key: 999 })).changes, 0)
    t.equal((await store.commit([asked(at.shopKey, 'prv_0', 'forget')]))[0]?.changes, 0, 'one that is not to be erased')
    t.equal((await told('erase_shop_begin', 4, {})).changes, 1)
    t.strictSame((await store.commit([asked(at.shopKey, 'prv_1', 'forget'), asked(at.shopKey, 'prv_2', 'forget')])).map(one => one.changes), [1, 0], 'once')
    t.strictSame([(await told('set_shop_status', 9, { life: 'installed' })).changes, (await told('set_shop_plan', 9, { plan: 'pro' })).changes], [0, 0])
    const upsert = () => one(store, 'upsert_shop', { id: at.shop, name: 'Anew', domain: at.shop, plan: 'pro', active: 1, now: NOW })
    t.equal((await upsert()).changes, 0, 'not while it is being erased')
    t.strictSame(await store.read('list_shops', { after: '', limit: 9, shops: null }), [])
    t.equal((await one(store, 'erase_shop_end', about(at))).changes, 1)
    t.match(await shopOf(store), { name: '', domain: '', status: 'erased' })
    t.match(await store.read('declared', { id: at.shop }), [{ status: 'erased' }])
    await upsert()
    t.match(await shopOf(store), { name: 'Anew', status: 'installed', status_at: 0, plan_told: null })
  })

  await t.test('of a set-up a phone number goes, and of a shop that is erased all of it', async t => {
    const { store } = await open(t)
    const at = await place(store)
    const where = { ...about(at), provider: 'alpha', step: 'test', subject: '' }
    await one(store, 'put_setup', { ...where, state: 'done', reason: null, detail: null, given: '{"phone":"1"}', found: '{}', action: null, asked_at: NOW, done_at: NOW, checked_at: NOW })
    t.match(await store.read('setup_of_shop', about(at)), [{ provider: 'alpha', step: 'test', given: '{"phone":"1"}', found: '{}' }])
    const blank = () => one(store, 'redact_setup', { ...where, given_before: '{"phone":"1"}', given: '{}', found: '{"a":1}' })
    t.strictSame([(await blank()).changes, (await blank()).changes], [1, 0])
    await one(store, 'put_setup_secret', { ...where, field: 'key', ...SEALED })
    await one(store, 'set_channel', { ...about(at), channel: 'sms', provider: 'alpha', now: NOW })
    for (const [id, key] of [['job_1', `${at.shopKey}/alpha`], ['job_2', `${at.shopKey}9/alpha`]] as const) await one(store, 'put_job', { job_key: store.nextKey('jobs'), id, kind: 'setup', unique_key: key, account_key: null, delivery_key: null, due_at: NOW, now: NOW })
    const gone = []
    for (const name of ['forget_setup_of', 'forget_setup_secrets_of', 'forget_channels_of', 'forget_flows_of']) gone.push((await one(store, name, about(at))).changes)
    t.strictSame(gone, [1, 1, 1, 0])
    t.equal((await one(store, 'forget_setup_jobs_of', { prefix: `${at.shopKey}/%` })).changes, 1, 'not another shop\'s')
    t.equal((await one(store, 'claim_jobs', { slots: HERE, now: NOW, owner: store.owner, epoch: store.epoch, limit: 10 })).changes, 1)
  })
}
