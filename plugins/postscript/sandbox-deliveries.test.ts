// The bounds of the sandbox's deliveries: how many, how long, how often.

import t from 'tap'
import { until } from '../../test/helpers/app.ts'
import { closedPort, faultServer, hang, status } from '../../test/helpers/fault-server.ts'
import { Deliveries, isLoopback } from './sandbox-deliveries.ts'
import type { WebhookBody } from './sandbox-deliveries.ts'

const body: WebhookBody = { webhook_id: 'w', resource_type: 'shop', resource_id: 'shop_1', event_time: '2026-11-21T19:20:00.000000', event: 'shop.test', event_data: {} }

/** Deliveries to one address. */
function deliveriesTo (url: string | null, timeoutMs?: number): Deliveries {
  return new Deliveries(() => 0, () => url === null ? null : { url, headers: {} }, timeoutMs)
}

t.test('13 attempts, which is an hour of five minutes each, and then it is lost', async t => {
  const hook = await faultServer(t, status(500))
  const deliveries = deliveriesTo(hook.origin)
  deliveries.spacingMs = 0
  const delivery = deliveries.send(body)
  await until(async () => delivery.state !== 'waiting')
  t.equal(delivery.state, 'lost')
  t.equal(delivery.answers.length, 13)
  t.equal(hook.received.length, 13)
})

t.test('an answer that does not come is given up, and one that nobody is there for too', async t => {
  const hook = await faultServer(t, hang)
  const late = deliveriesTo(hook.origin, 30)
  const delivery = late.send(body)
  await until(async () => delivery.answers.length === 1)
  t.match(delivery, { state: 'waiting', answers: [{ status: null, error: /abort/ }] })
  await late.stop()
  const none = deliveriesTo(`http://127.0.0.1:${await closedPort()}`)
  const nobody = none.send(body)
  await until(async () => nobody.answers.length === 1)
  t.match(nobody.answers, [{ status: null, error: /ECONNREFUSED/ }])
  await none.stop()
})

t.test('at most 100 are sent or wait at once; more are lost', async t => {
  const hook = await faultServer(t, hang)
  const deliveries = deliveriesTo(hook.origin)
  const states = Array.from({ length: 103 }, () => deliveries.send(body).state)
  t.equal(states.filter(state => state === 'waiting').length, 100)
  t.strictSame(states.slice(100), ['lost', 'lost', 'lost'])
  await until(async () => hook.received.length === 100)
  await deliveries.stop()
  await until(async () => hook.seen.open === 0)
})

t.test('the latest 1,000 are kept for reading, newest first', async t => {
  const deliveries = deliveriesTo(null)
  for (let i = 0; i < 1005; i++) deliveries.send(body)
  const ids = deliveries.list().map(({ id }) => id)
  t.strictSame([ids.length, ids[0], ids.at(-1)], [1000, 1005, 6])
  t.equal(deliveries.find(5), null)
})

t.test('what is stopped sends nothing any more, neither what waited nor what comes', async t => {
  const hook = await faultServer(t, status(500))
  const deliveries = deliveriesTo(hook.origin)
  const delivery = deliveries.send(body)
  await until(async () => delivery.answers.length === 1)
  await deliveries.stop()
  deliveries.spacingMs = 0
  t.equal(deliveries.send(body).state, 'lost')
  await new Promise(resolve => { setTimeout(resolve, 50) })
  t.equal(hook.received.length, 1)
})

t.test('what is under way when it is stopped is broken off, and not waited for', async t => {
  const hook = await faultServer(t, hang)
  const deliveries = deliveriesTo(hook.origin)
  deliveries.spacingMs = 0
  const delivery = deliveries.send(body)
  await until(async () => hook.seen.open === 1 && hook.received.length === 1)
  await deliveries.stop()
  t.strictSame(delivery.answers, [])
  await until(async () => hook.seen.open === 0)
})

t.test('addresses of this machine, in every notation, and no others', async t => {
  for (const url of ['http://127.0.0.1:1/', 'http://127.1/', 'http://0x7f000001/', 'http://2130706433/', 'http://LOCALHOST/', 'https://[::1]:1/']) t.ok(isLoopback(new URL(url)), url)
  for (const url of ['http://10.0.0.1/', 'http://0.0.0.0/', 'http://127.0.0.1.example/', 'http://localhost.example/', 'http://gateway.example/', 'http://[::]/', 'http://169.254.169.254/']) t.notOk(isLoopback(new URL(url)), url)
})
