// Who works on an account, seen by the deliveries: what is in flight when it is to be another instance's, and a claim that
// was taken over before its request left.

import t from 'tap'
import { ALL_SLOTS, STATE } from '../../gateway/contract.ts'
import { recover } from '../../gateway/delivery/recover.ts'
import { GatewayError } from '../../gateway/errors.ts'
import { until } from '../helpers/fake-runtime.ts'
import { status, type Exchange } from '../helpers/fault-server.ts'
import { HOUR_MS } from '../helpers/make.ts'
import { world } from './world.ts'

t.test('R24: an account is handed over when its requests in flight have ended, also when somebody looks at it meanwhile', async t => {
  let leaving = false
  const slow: Exchange[] = []
  const w = await world(t, {
    reply: exchange => { slow.push(exchange) },
    between: store => ({ slots: { mine: ALL_SLOTS, epoch: (slot, forMs) => leaving ? null : store.slots.epoch(slot, forMs) } })
  })
  const [id] = await w.accept('a') as [string]
  await until('its request is in flight', () => slow.length === 1)
  const key = (await w.delivery(id)).account_key as number
  leaving = true
  let over = false
  const handed = w.deliver.handOver(ALL_SLOTS).then(() => { over = true })
  await w.deliver.reread([key])
  t.ok(w.deliver.opened(key), 'it is still under way')
  t.notOk(over)
  status(202)(slow[0] as Exchange)
  await handed
  t.match(await w.delivery(id), { state: STATE.delivered, owner: null }, 'its end was written before it was handed over')
  t.notOk(w.deliver.opened(key))
})

t.test('R25: a claim that another instance has taken over meanwhile is not sent', async t => {
  const w = await world(t, {
    between: store => ({
      async commit (unit) {
        for (const { name, params: { delivery_key, owner, epoch } } of unit) {
          if (name === 'start_call') await store.commit([{ name: 'adopt_claimed', params: { delivery_key, owner, epoch, state: STATE.waiting, reason: null, due_at: w.runtime.now() + HOUR_MS, finished_at: null } as never }])
        }
        return await store.commit(unit)
      }
    })
  })
  const [id] = await w.accept('a') as [string]
  await until('it was taken over', async () => (await w.delivery(id)).claims === 1 && (await w.delivery(id)).owner === null)
  await until('nothing is worked on', () => w.deliver.working === 0)
  t.equal(w.server.received.length, 0)
  t.match(await w.delivery(id), { state: STATE.waiting, call_no: 0, attempts: 0 })
})

t.test('a claim that was kept and not answered is no crash, however often that happens (GW_STORE_UNSURE)', async t => {
  let lost = 0
  const w = await world(t, {
    between: store => ({
      async commit (unit) {
        const results = await store.commit(unit)
        if (lost === 3 || !results.some(({ rows }, i) => unit[i]?.name === 'claim_deliveries' && rows.length > 0)) return results
        lost++
        throw new GatewayError('GW_STORE_UNSURE', 'Nobody knows.')
      }
    })
  })
  let mono = w.runtime.mono()
  w.runtime.mono = () => mono += 30_000
  const [id] = await w.accept('a') as [string]
  await w.becomes(id, 'delivered')
  t.equal(lost, 3)
  t.equal(w.server.received.length, 1)
})

t.test('a claim on an account that another slot\'s owner died with is taken over by whoever has the account now', async t => {
  const w = await world(t, { start: false })
  const [id] = await w.accept('a') as [string]
  await w.store.listen({ taken: async () => {}, asked: async () => {}, lost () {}, work () {}, news () {}, onError: error => { throw error } })
  w.deliver.start()
  await w.deliver.take(ALL_SLOTS)
  await w.query(`update deliveries set owner = ${w.store.owner + 1000}, epoch = 1, due_at = null, claims = 1 where id = '${id}'`)
  let mono = w.runtime.mono()
  w.runtime.mono = () => mono += 30_000
  await w.becomes(id, 'delivered')
  t.equal(w.server.received.length, 1)
})

t.test('a claim on what came to its end meanwhile is taken from its owner at a take-over, which comes to an end', async t => {
  const w = await world(t, { start: false })
  const [id] = await w.accept('a') as [string]
  await w.query(`update deliveries set owner = ${w.store.owner + 1000}, epoch = 1, due_at = null, state = ${STATE.expired}, finished_at = 5 where id = '${id}'`)
  t.equal(await recover(ALL_SLOTS, w), 1)
  t.match(await w.delivery(id), { owner: null, state: STATE.expired, finished_at: 5, due_at: null })
  await w.query(`update deliveries set owner = ${w.store.owner + 1000}, epoch = null where id = '${id}'`)
  t.equal(await recover(ALL_SLOTS, w), 0, 'also where one cannot be taken')
})
