// A token endpoint that does not answer as it should (R63), or whose answer is lost (R62).

import t from 'tap'
import { anEvent, until } from '../helpers/app.ts'
import { choose, connect, connectionOf, lanternConfig, order, seen } from '../helpers/lantern.ts'
import { sending } from '../helpers/lantern-sending.ts'

const HOUR_MS = 3_600_000
const OTHER = 'globex.example'

for (const [name, down] of [['answers 503', 503], ['answers 403 with a page', 'html'], ['answers too late', 'late']] as const) {
  t.test(`R63: a token endpoint that ${name}: the token is used to its end, then the queue waits, asking every ten seconds at most`, async t => {
    const { app, advance, skip } = await sending(t, lanternConfig(config => down === 'late' ? `${config}delivery: { request_deadline: 300ms }\n` : config))
    await order(app, { down, slowMs: 1000 })
    advance(HOUR_MS - 30_000)
    for (let i = 0; i < 5; i++) await app.delivered(await app.post(anEvent(`good-${i}`)))
    await until(async () => (await seen(app)).refreshes === 1)
    await app.logged(({ msg }) => /gave no new token/.test(String(msg)))
    advance(60_000)
    for (let i = 0; i < 5; i++) await app.post(anEvent(`waits-${i}`))
    await new Promise(resolve => { setTimeout(resolve, 500) }) // nothing is to happen
    t.equal((await seen(app)).refreshes, 1, 'one in ten seconds, however many ask')
    t.equal((await app.delivery('waits-0')).state, 'waiting')
    skip(10_000)
    await app.post(anEvent('waits-6'))
    await until(async () => (await seen(app)).refreshes === 2)
    await until(async () => (await app.delivery('waits-0')).reason === 'provider_failing')
    t.match(await connectionOf(app), { status: 'connected' }, 'no merchant is asked to do anything')
    await order(app, { down: null })
    await until(async () => app.lines.filter(line => /gave no new token/.test(line)).length === 2)
    skip(10_000)
    await app.post(anEvent('waits-7'))
    for (const id of ['waits-0', 'waits-4', 'waits-7']) await until(async () => (await app.delivery(id)).state === 'delivered')
    t.match(await seen(app), { second_uses: 0 })
  })
}

t.test('R62: where the provider gave a new token and nobody got it, that connection says reconnect, and nothing else stops', async t => {
  const { app, advance, skip } = await sending(t)
  await connect(app, { shop: 'globex.example' }) // at the same account, by a grant of its own
  await choose(app, 'globex.example')
  await app.delivered(await app.post(anEvent('theirs-1', { shop: 'globex.example' })))
  await order(app, { down: 'lost' })
  advance(2 * HOUR_MS)
  await app.post(anEvent('mine'))
  await app.logged(({ msg }) => /gave no new token/.test(String(msg)))
  await order(app, { down: null })
  skip(10_000)
  await app.post(anEvent('mine-2'))
  await until(async () => (await app.delivery('mine')).state === 'held')
  t.match(await app.delivery('mine'), { reason: 'credentials_refused' })
  await app.delivered(await app.post(anEvent('theirs-2', { shop: 'globex.example' })))
  t.match(await connectionOf(app, 'globex.example'), { status: 'connected' })
})

t.test('a shop that waits for a token keeps no other shop of its account waiting, and its own messages go with it', async t => {
  const { app, advance, grant } = await sending(t)
  advance(HOUR_MS - 30_000)
  await connect(app, { shop: OTHER })
  await choose(app, OTHER)
  await order(app, { down: 'slow', slowMs: 4000 })
  advance(60_000)
  for (let i = 0; i < 5; i++) await app.post(anEvent(`waits-${i}`))
  await until(async () => (await seen(app)).refreshes === 1)
  for (let i = 0; i < 5; i++) await app.delivered(await app.post(anEvent(`passes-${i}`, { shop: OTHER })))
  t.match(await app.delivery('waits-0'), { state: 'waiting', reason: 'deferred' })
  t.equal((await seen(app)).refreshes, 1)
  t.equal((await grant()).version, 1, 'the token is awaited still')
  for (let i = 0; i < 5; i++) await until(async () => (await app.delivery(`waits-${i}`)).state === 'delivered')
  t.match(await seen(app), { refreshes: 1, second_uses: 0 })
})

t.test('a shop that waits for a token again and again is asked for in its turn, though another one of its account always has work', async t => {
  const { app, advance, skip } = await sending(t)
  advance(HOUR_MS - 30_000)
  await connect(app, { shop: OTHER })
  await choose(app, OTHER)
  await order(app, { down: 503 })
  advance(60_000)
  await app.post(anEvent('waits'))
  await until(async () => (await seen(app)).refreshes === 1)
  await app.logged(({ msg }) => /gave no new token/.test(String(msg)))
  for (let i = 0; i < 20; i++) await app.delivered(await app.post(anEvent(`passes-${i}`, { shop: OTHER })))
  t.equal((await seen(app)).refreshes, 1, 'what another shop sends asks for nothing')
  await order(app, { down: null })
  skip(10_000)
  await app.delivered(await app.post(anEvent('passes-last', { shop: OTHER })))
  await until(async () => (await app.delivery('waits')).state === 'delivered')
  t.match(await seen(app), { refreshes: 2 })
})
