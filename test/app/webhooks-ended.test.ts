// What a provider tells by itself of an account ends with the last connection there.

import t from 'tap'
import { until } from '../helpers/app.ts'
import { addressOf, call, connect, disconnect, hooksOf, inboxOf, KEY, KEY_OTHER, listening, made, settled, standing, startBuoyApp, told, world, type Hook } from '../helpers/buoy.ts'

t.test('who disconnects is called no more: taken back with the credentials that were, and the address answers 404 (#52)', async t => {
  const app = await startBuoyApp(t)
  const path = await listening(app)
  const foreign = { id: 'f1', account: 'one', to: 'https://other.example/hook', on: 'person.other' }
  await world(app, { hooks: [...await hooksOf(app), foreign] })
  await app.fault('buoy', { kind: 'status', status: 503, match: { path: '/hooks' }, times: 1 })
  t.equal((await disconnect(app)).status, 200)
  t.equal((await call(app, path, told('p1'))).status, 404)
  t.strictSame((await app.query('select id from webhook_secrets')), [])
  await app.query("update jobs set due_at = 1 where kind = 'webhooks' and due_at is not null")
  await until(async () => (await hooksOf(app)).length === 1)
  t.strictSame(await hooksOf(app), [foreign])
  await until(async () => (await app.query('select id from webhook_removals')).length === 0)
  const again = await listening(app)
  t.not(again, path, 'connected again it is another address')
  t.equal((await call(app, path, told('p1'))).status, 404)
  t.equal((await call(app, again, told('p1'))).status, 200)
})

t.test('credentials that are refused by then are thrown away, and nothing is held for it', async t => {
  const app = await startBuoyApp(t)
  await listening(app)
  await world(app, { refused: ['one'] })
  await disconnect(app)
  await app.logged(({ msg }) => msg === 'webhooks could not be taken back; what comes is answered 404')
  await until(async () => (await app.query('select id from webhook_removals')).length === 0)
  t.strictSame(await app.query('select held_reason from accounts where held_reason is not null'), [])
})

t.test('a dozen tries, ever more rarely, and the credentials are gone', async t => {
  const app = await startBuoyApp(t)
  await listening(app)
  await app.fault('buoy', { kind: 'status', status: 500, match: { path: '/hooks' } })
  await disconnect(app)
  const tried = (times: string): Promise<void> => until(async () => (await app.query(`select 1 from jobs where kind = 'webhooks' and due_at is not null and cursor = '${times}'`)).length === 1)
  const again = (times: string): Promise<unknown> => app.query(`update jobs set due_at = 1, cursor = '${times}' where kind = 'webhooks'`)
  await tried('1')
  await again('10')
  await tried('11')
  const [job] = await app.query("select due_at from jobs where kind = 'webhooks'")
  t.ok(Number(job?.due_at) > Date.now() + 30 * 60_000)
  await again('11')
  await until(async () => (await app.query('select id from webhook_removals')).length === 0)
  t.equal((await hooksOf(app)).length, 2)
})

t.test('two shops at one account are registered once, and the last one out takes it back', async t => {
  const app = await startBuoyApp(t)
  const path = await listening(app)
  await connect(app, KEY, 'globex.example')
  await until(async () => (await standing(app, 'globex.example'))?.['state'] === 'on')
  await until(() => settled(app))
  t.equal(await made(app), 2)
  t.equal((await call(app, path, told('p1'))).status, 200)
  await disconnect(app)
  await until(() => settled(app))
  t.equal((await hooksOf(app)).length, 2)
  t.equal((await call(app, path, told('p2'))).status, 200)
  t.match((await inboxOf(app)).map(({ shop }) => shop), [null, 'globex.example'])
  t.equal((await inboxOf(app, 'buoy', 'globex')).length, 1, 'what is of two shops is shown to those who may use all')
  await disconnect(app, 'globex.example')
  await until(async () => (await hooksOf(app)).length === 0)
})

t.test('another account: the old one is taken back, the new one registered at another address', async t => {
  const app = await startBuoyApp(t)
  const path = await listening(app)
  await connect(app, KEY_OTHER)
  await until(async () => (await hooksOf(app, 'two')).length === 2 && (await hooksOf(app, 'one')).length === 0)
  t.equal((await call(app, path, told('p1'))).status, 404)
  t.not(addressOf((await hooksOf(app, 'two'))[0] as Hook), path)
})
