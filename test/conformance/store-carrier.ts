// What every store must keep of what the carrier says of a message: the latest word, the first end, and when nobody has said one.

import type { Test } from 'tap'
import { STATE, type Row, type Store, type Value } from '../../gateway/contract.ts'
import type { Open } from './store.ts'
import { claim, deliveryOf, NOW, one, place, put, sent, settleStep, startStep, type Place, type Put } from './store-rows.ts'

const ADA = Uint8Array.of(1, 2)
const word = (store: Store, { deliveryKey }: Put, said: string, more: Record<string, Value> = {}) =>
  one(store, 'carrier_word', { delivery_key: deliveryKey, receipt: 'M1', word: said, at: NOW, code: null, ...more })
const shown = async (store: Store, delivery: Put): Promise<Row> => {
  const { state, reason, receipt, carrier_status: status, carrier_at: at, carrier_code: code, carrier_due_at: due, finished_at: finished } = await deliveryOf(store, delivery)
  return { state, reason, receipt, status, at, code, due, finished } as Row
}

/** One that was accepted, with the provider's id of its message. */
async function accepted (store: Store, where: Place, receipt: string | null = 'M1', facts: Record<string, Value> = {}): Promise<Put> {
  const delivery = await put(store, where)
  await claim(store, where)
  await store.commit([startStep(store, delivery.deliveryKey, { accountKey: where.accountKey }), settleStep(store, delivery.deliveryKey, { receipt, ...facts })])
  return delivery
}

export async function carrier (t: Test, open: Open): Promise<void> {
  await t.test('a later word takes the place of an earlier one, whatever order they come in; the first end stays', async t => {
    const { store } = await open(t)
    const where = await place(store)
    for (const [said, ends] of [
      [['accepted', 'sending', 'sent', 'delivered', 'read'], 'read'],
      [['delivered', 'sent', 'accepted'], 'delivered'],
      [['sent', 'delivered', 'failed'], 'delivered'],
      [['undelivered', 'delivered', 'sent', 'read'], 'undelivered'],
      [['failed', 'undelivered'], 'failed'],
      [['read', 'delivered', 'failed'], 'read'],
      [['sending', 'sending'], 'sending']
    ] as const) {
      const delivery = await accepted(store, where)
      for (const [i, one] of said.entries()) await word(store, delivery, one, { at: NOW + i })
      t.match(await shown(store, delivery), { status: ends, at: NOW + said.findIndex(one => one === ends) }, said.join(' '))
    }
    const delivery = await accepted(store, where)
    t.equal((await word(store, delivery, 'delivered', { receipt: 'M2' })).changes, 0, 'another message')
    t.equal((await shown(store, delivery)).status, null)
  })

  await t.test('what failed on its way was not delivered, once', async t => {
    const { store } = await open(t)
    const where = await place(store)
    const refused = (delivery: Put, receipt = 'M1') => one(store, 'carrier_refused', { delivery_key: delivery.deliveryKey, receipt, reason: 'number_unknown', detail: '30005', now: NOW + 9 })
    const delivery = await accepted(store, where)
    t.equal((await refused(delivery)).changes, 0, 'nobody said so')
    await word(store, delivery, 'undelivered', { code: '30005' })
    t.equal((await refused(delivery, 'M2')).changes, 0)
    t.strictSame([(await refused(delivery)).changes, (await refused(delivery)).changes], [1, 0])
    t.match(await shown(store, delivery), { state: STATE.rejected, reason: 'number_unknown', status: 'undelivered', code: '30005', finished: NOW + 9 })
    const arrived = await accepted(store, where)
    await word(store, arrived, 'delivered')
    await word(store, arrived, 'failed')
    t.equal((await refused(arrived)).changes, 0)
    t.match(await shown(store, arrived), { state: STATE.delivered, status: 'delivered' })
  })

  await t.test('a message that is there proves that its request was acted on: that call, that message, no other delivery\'s', async t => {
    const { store } = await open(t)
    const where = await place(store)
    const prove = (delivery: Put, more: Record<string, Value> = {}) =>
      one(store, 'prove_created', { delivery_key: delivery.deliveryKey, account_key: where.accountKey, call_no: 1, receipt: 'M7', reason: 'accepted_elsewhere', now: NOW + 5, due_at: NOW + 60, ...more })
    const lost = { state: STATE.unknown, outcome: 'unknown', finished_at: null, due_at: null }
    const unknown = await accepted(store, where, null, lost)
    t.equal((await prove(unknown, { call_no: 2 })).changes, 0)
    t.equal((await prove(unknown)).changes, 1)
    t.match(await shown(store, unknown), { state: STATE.delivered, reason: 'accepted_elsewhere', receipt: 'M7', finished: NOW + 5, due: NOW + 60 })
    t.equal((await prove(await accepted(store, where, null, lost))).changes, 0, 'taken')
    const waiting = await accepted(store, where, null, { ...lost, state: STATE.waiting, due_at: NOW })
    t.equal((await prove(waiting, { receipt: 'M8', due_at: null })).changes, 1, 'it was to be sent again')
    t.match(await deliveryOf(store, waiting), { state: STATE.delivered, due_at: null })
    const refused = await accepted(store, where, null, { state: STATE.rejected, outcome: 'rejected' })
    t.equal((await prove(refused, { receipt: 'M9' })).changes, 0, 'its request was answered')
    const erased = await accepted(store, where, null, lost)
    await one(store, 'redact_unsure', { event_key: erased.eventKey, now: NOW })
    t.equal((await prove(erased, { receipt: 'M11' })).changes, 0, 'nothing of it comes back')
    const claimed = await accepted(store, where, null, { ...lost, due_at: NOW })
    await claim(store, where)
    t.equal((await prove(claimed, { receipt: 'M10' })).changes, 0, 'somebody works on it')
    t.match(await store.read('carrier_subject', { id: unknown.id }), [{ delivery_key: unknown.deliveryKey, state: STATE.delivered, receipt: 'M7', provider: where.provider, account: where.account, outcome: 'unknown', call_no: 1 }])
    t.match(await store.read('carrier_subject_by_receipt', { provider: where.provider, receipt: 'M7' }), [{ id: unknown.id }])
    t.strictSame(await store.read('carrier_subject_by_receipt', { provider: 'beta', receipt: 'M7' }), [])
    await one(store, 'redact_event', { event_key: unknown.eventKey, digest: ADA, now: NOW + 7 })
    t.match(await store.read('carrier_subject_by_receipt', { provider: where.provider, receipt: 'M7' }), [{ redacted_at: NOW + 7 }])
    t.match(await store.read('carrier_subject', { id: unknown.id }), [{ redacted_at: NOW + 7 }])
  })

  await t.test('another call begins without a word; what an earlier one made is known', async t => {
    const { store } = await open(t)
    const where = await place(store)
    const delivery = await accepted(store, where, 'M1', { state: STATE.waiting, due_at: NOW, finished_at: null, outcome: 'retry' })
    await word(store, delivery, 'failed', { code: '1' })
    await claim(store, where)
    const archive = { name: 'archive_call', params: { call_key: store.nextKey('calls'), delivery_key: delivery.deliveryKey, owner: store.owner, epoch: store.epoch } }
    await store.commit([archive, startStep(store, delivery.deliveryKey, { accountKey: where.accountKey })])
    t.match(await shown(store, delivery), { receipt: null, status: null, at: null, code: null })
    const earlier = async (receipt: string) => (await store.read('earlier_receipt', { delivery_key: delivery.deliveryKey, receipt })).length
    t.strictSame([await earlier('M1'), await earlier('M2')], [1, 0])
  })

  await t.test('who said no last word is asked about, the longest due first, each account by itself', async t => {
    const { store, reopen } = await open(t)
    const [where, other] = [await place(store), await place(store, { shop: 'b.example', provider: 'beta', account: 'B1' })]
    const due = async (store: Store, now = NOW + 100) => (await store.read('carrier_due', { account_key: where.accountKey, now, limit: 9 })).map(row => row.delivery_key)
    const await_ = (delivery: Put, dueAt: number) => one(store, 'await_carrier', { delivery_key: delivery.deliveryKey, due_at: dueAt })
    const [first, second, none, ended, unsent] = [await accepted(store, where, 'M1'), await accepted(store, where, 'M2'), await accepted(store, where, null), await accepted(store, where, 'M1'), await put(store, where)]
    await word(store, ended, 'delivered')
    t.strictSame([(await await_(first, NOW + 50)).changes, (await await_(second, NOW + 40)).changes, (await await_(none, NOW)).changes, (await await_(ended, NOW)).changes, (await await_(unsent, NOW)).changes], [1, 1, 0, 0, 0])
    const elsewhere = await sent(store, other)
    t.equal((await await_(elsewhere, NOW)).changes, 0)
    const again = await reopen()
    t.strictSame(await due(again), [second.deliveryKey, first.deliveryKey])
    t.strictSame(await due(again, NOW + 45), [second.deliveryKey])
    t.match(await again.read('carrier_due', { account_key: where.accountKey, now: NOW + 45, limit: 1 }), [{ receipt: 'M2', settled_at: NOW, carrier_due_at: NOW + 40, shop_key: where.shopKey }])
    const accounts = async (now: number, providers = ['alpha', 'beta'], after = 0) => (await again.read('accounts_to_poll', { after, providers: JSON.stringify(providers), now, limit: 9 })).map(row => row.account_key)
    t.strictSame([await accounts(NOW + 40), await accounts(NOW + 39), await accounts(NOW + 40, ['beta']), await accounts(NOW + 40, ['alpha'], where.accountKey)], [[where.accountKey], [], [], []])
    const asked = (before: number, dueAt: number | null) => one(again, 'carrier_asked', { delivery_key: second.deliveryKey, before, due_at: dueAt })
    t.strictSame([(await asked(NOW, null)).changes, (await asked(NOW + 40, NOW + 90)).changes], [0, 1])
    t.strictSame(await due(again), [first.deliveryKey, second.deliveryKey])
    await one(again, 'redact_contents', { event_key: second.eventKey })
    t.strictSame(await due(again), [first.deliveryKey], 'nobody asks about what was erased')
    await one(again, 'await_carrier', { delivery_key: second.deliveryKey, due_at: NOW + 60 })
    t.equal((await shown(again, second)).due, null, 'nor will')
    await word(again, first, 'sent')
    t.equal((await shown(again, first)).due, NOW + 50)
    await word(again, first, 'delivered')
    t.strictSame(await due(again), [], 'it came by itself')
  })
}
