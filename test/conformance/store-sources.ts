// What sources may read and end of the messages that they made themselves.

import type { Test } from 'tap'
import { STATE } from '../../gateway/contract.ts'
import type { Open } from './store.ts'
import { claim, deliveryOf, NOW, one, place, put, sent } from './store-rows.ts'

const SOURCE = '/sources/tally'

export async function sources (t: Test, open: Open): Promise<void> {
  await t.test('a source ends what waits of its own events, and nothing that is worked on, sent or another\'s', async t => {
    const { store } = await open(t)
    const at = await place(store)
    const gone = await sent(store, at, { source: SOURCE, sourceId: 'a' })
    const claimed = await put(store, at, { source: SOURCE, sourceId: 'b' })
    await claim(store, at)
    const waits = await put(store, at, { source: SOURCE, sourceId: 'c' })
    const others = await put(store, at, { source: '/other', sourceId: 'c' })
    const mine = { shop_key: at.shopKey, source: SOURCE, source_ids: '["a","b","c","d"]' }
    t.match(await one(store, 'withdraw_deliveries', { ...mine, reason: 'sold_out', now: NOW + 1 }), { changes: 1 })
    t.match(await deliveryOf(store, waits), { state: STATE.rejected, reason: 'sold_out', due_at: null, finished_at: NOW + 1 })
    t.match(await deliveryOf(store, gone), { state: STATE.delivered })
    t.match(await deliveryOf(store, claimed), { state: STATE.waiting, finished_at: null })
    t.match(await deliveryOf(store, others), { state: STATE.waiting })
    t.match(await store.read('message_ends', mine), [{ source_id: 'a', id: gone.id, state: STATE.delivered }, { source_id: 'b', state: STATE.waiting, finished_at: null }, { source_id: 'c', state: STATE.rejected, reason: 'sold_out', finished_at: NOW + 1 }])
    t.match(await one(store, 'withdraw_deliveries', { ...mine, reason: 'sold_out', now: NOW + 2 }), { changes: 0 })
  })
}
