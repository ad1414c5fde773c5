// What every store must keep of people who want no more messages, and that nothing is sent to them from that moment on.

import type { Test } from 'tap'
import { STATE, type Row, type Store, type Value } from '../../gateway/contract.ts'
import type { Open } from './store.ts'
import { claim, deliveryOf, NOW, one, place, put, settleStep, startStep, type Place } from './store-rows.ts'

const ADA = Uint8Array.of(1, 255, 0)
const BEN = Uint8Array.of(2, 0, 7)

const shopOut = (store: Store, { shopKey }: Place, more: Record<string, Value> = {}) =>
  one(store, 'opt_out_shop', { person: ADA, shop_key: shopKey, at: NOW, via: 'api', by_account_key: null, reason: null, ...more })
const liftShop = (store: Store, { shopKey }: Place, at: number) => one(store, 'lift_shop', { person: ADA, shop_key: shopKey, at, via: 'api', reason: 'Asked us to.' })
const said = (store: Store, name: string, { accountKey }: Place, more: Record<string, Value> = {}) => one(store, name, { person: ADA, account_key: accountKey, at: NOW, via: 'stop_word', ...more })
const isOut = async (store: Store, { shopKey }: Place, person = ADA) => (await store.read('opt_out_of', { shop_key: shopKey, person })).length === 1
const seen = async (store: Store, { shopKey }: Place): Promise<Row[]> => (await store.read('opt_outs_seen', { shop_key: shopKey, person: ADA })).map(row => ({ ...row }))
const flag = async (store: Store, keys: number[]) => (await store.read('claimed', { keys: JSON.stringify(keys) })).map(row => Number(row.opted_out))

export async function optOuts (t: Test, open: Open): Promise<void> {
  await t.test('said again it stays as it was first said; lifted it is over, until it is said later', async t => {
    const { store, reopen } = await open(t)
    const [where, other] = [await place(store), await place(store, { shop: 'b.example' })]
    await shopOut(store, where, { at: NOW + 5, reason: 'By phone.' })
    await shopOut(store, where, { at: NOW + 9 })
    t.strictSame([await isOut(store, where), await isOut(store, where, BEN), await isOut(store, other)], [true, false, false])
    t.match(await seen(store, where), [{ scope: 'shop', at: NOW + 5, via: 'api', reason: 'By phone.', lifted_at: null, provider: null }])
    t.equal((await liftShop(store, where, NOW + 4)).changes, 0, 'it was said later')
    t.equal((await liftShop(store, where, NOW + 20)).changes, 1)
    t.equal(await isOut(store, where), false)
    t.equal((await shopOut(store, where, { at: NOW + 19 })).changes, 0, 'from before it was lifted')
    const again = await reopen()
    t.match(await seen(again, where), [{ lifted_at: NOW + 20, lifted_via: 'api', lift_reason: 'Asked us to.' }])
    await shopOut(again, where, { at: NOW + 30, via: 'stop_word' })
    t.match(await seen(again, where), [{ at: NOW + 30, via: 'stop_word', reason: null, lifted_at: null, lifted_via: null, lift_reason: null }])
    await one(again, 'audit_opt_out', { at: NOW, actor: 'me', action: 'opt_out.put', shop: where.shop, subject: '01ff00', reason: 'By phone.' })
  })

  await t.test('what is said to a sender holds for its account and for each shop that texted the person over it; START takes back that, and nothing else', async t => {
    const { store } = await open(t)
    const [texted, quiet, api] = [await place(store), await place(store, { shop: 'b.example' }), await place(store, { shop: 'c.example' })]
    const elsewhere = await place(store, { shop: 'd.example', account: 'A2' })
    for (const [where, person] of [[texted, ADA], [quiet, BEN], [api, ADA], [elsewhere, ADA]] as const) {
      const { deliveryKey } = await put(store, where, { person })
      await claim(store, where)
      await store.commit([startStep(store, deliveryKey, { accountKey: where.accountKey }), settleStep(store, deliveryKey)])
    }
    await put(store, quiet, { person: ADA }) // not sent yet
    await shopOut(store, api, { at: NOW - 9 })
    for (const name of ['opt_out_account', 'opt_out_texted', 'opt_out_account', 'opt_out_texted']) await said(store, name, texted)
    t.strictSame(await Promise.all([texted, quiet, api, elsewhere].map(where => isOut(store, where))), [true, true, true, false])
    t.match(await seen(store, texted), [{ scope: 'shop', provider: 'alpha' }, { scope: 'account', provider: 'alpha', via: 'stop_word' }])
    t.strictSame((await seen(store, quiet)).map(row => row.scope), ['account'])
    t.match(await store.read('account_of', { provider: 'alpha', account: 'A2' }), [{ account_key: elsewhere.accountKey }])
    t.equal((await said(store, 'lift_account', elsewhere, { at: NOW + 1 })).changes, 0, 'said to another sender')
    t.equal((await said(store, 'lift_account', texted, { at: NOW + 1 })).changes, 2)
    t.strictSame(await Promise.all([texted, quiet, api].map(where => isOut(store, where))), [false, false, true], 'what the shop was told stays')
    await said(store, 'opt_out_connected', texted, { at: NOW + 2, via: 'provider_told' })
    t.strictSame(await Promise.all([texted, quiet, api, elsewhere].map(where => isOut(store, where))), [true, true, true, false])
    t.equal((await said(store, 'lift_account', texted, { at: NOW + 3 })).changes, 2)
  })

  await t.test('a refusal by the provider puts the person of the message on the shop\'s list', async t => {
    const { store } = await open(t)
    const where = await place(store)
    const refuse = async (reason: string, person: Uint8Array | null) => {
      const { deliveryKey } = await put(store, where, { person })
      await claim(store, where)
      const [, , out] = await store.commit([startStep(store, deliveryKey, { accountKey: where.accountKey }), settleStep(store, deliveryKey, { state: STATE.rejected, reason }), { name: 'opt_out_refused', params: { delivery_key: deliveryKey, now: NOW, via: 'provider_refused' } }])
      return out?.changes
    }
    t.strictSame([await refuse('number_unknown', ADA), await refuse('opted_out', null), await refuse('opted_out', ADA)], [0, 0, 1])
    t.match(await seen(store, where), [{ scope: 'shop', via: 'provider_refused', at: NOW, provider: 'alpha' }])
  })

  await t.test('#88: a claim says who opted out, and no call begins for one who did after it', async t => {
    const { store } = await open(t)
    const where = await place(store)
    const [ada, ben, nobody] = [await put(store, where, { person: ADA }), await put(store, where, { person: BEN }), await put(store, where)]
    const keys = await claim(store, where)
    t.strictSame(await flag(store, keys), [0, 0, 0])
    await shopOut(store, where)
    t.strictSame(await flag(store, keys), [1, 0, 0])
    const started = await store.commit([ada, ben, nobody].map(({ deliveryKey }) => startStep(store, deliveryKey, { accountKey: where.accountKey })))
    t.strictSame(started.map(({ changes }) => changes), [0, 1, 1])
    await liftShop(store, where, NOW + 1)
    await said(store, 'opt_out_account', where, { at: NOW + 2 })
    t.strictSame(await flag(store, keys), [1, 0, 0], 'over this account')
    t.match(await deliveryOf(store, ada), { state: STATE.waiting, call_no: 0 })
    await store.commit([settleStep(store, ben.deliveryKey, { state: STATE.waiting, due_at: NOW, finished_at: null, outcome: 'retry' })])
    await shopOut(store, where, { person: BEN, at: NOW + 3 })
    await claim(store, where)
    const archive = { name: 'archive_call', params: { call_key: store.nextKey('calls'), delivery_key: ben.deliveryKey, owner: store.owner, epoch: store.epoch } }
    t.strictSame((await store.commit([archive, startStep(store, ben.deliveryKey, { accountKey: where.accountKey })])).map(({ changes }) => changes), [0, 0], 'nor is its earlier call put away')
  })
}
