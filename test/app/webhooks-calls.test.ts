// What a provider tells of an account, as it comes in: who is let in, what is kept, and what follows from it.

import { request } from 'undici'
import t from 'tap'
import { movable, until } from '../helpers/app.ts'
import { call, connect, disconnect, EVENTS, hooksOf, inboxOf, KEY_OTHER, listening, PHONE, SHOP, startBuoyApp, standing, told, world } from '../helpers/buoy.ts'

t.test('what is told of a person is kept, shown to the shop, and passed on; a repeat is kept once', async t => {
  const app = await startBuoyApp(t)
  const path = await listening(app)
  t.match(await call(app, path, told('p1')), { status: 200, body: { status: 'received' } })
  t.match(await call(app, path, told('p1')), { status: 200, body: { status: 'repeat' } })
  t.match(await call(app, path, { ...told('p1'), more: true }), { status: 200, body: { status: 'repeat' } }, 'the same event, told in other bytes')
  t.match(await call(app, path, told('p1', { when: '2026-11-20T10:00:01' })), { status: 200, body: { status: 'received' } })
  t.match(await call(app, path, told('p1', {}, 'person.out')), { status: 200, body: { status: 'received' } })
  const rows = await inboxOf(app)
  t.match(rows, [
    { source: 'buoy', topic: 'person.in', shop: SHOP, subject: 'p1', state: 'recorded', reason: 'noticed', events: [] },
    { topic: 'person.in', state: 'recorded', reason: 'noticed' },
    { topic: 'person.out', reason: 'noticed', detail: 'Buoy tells that a customer wants no more texts.' }
  ])
  t.equal(rows.length, 3)
  const { body: row } = await app.ask('GET', `/v1/inbox/${String(rows[0]?.id)}`, { key: 'acme' })
  t.strictSame(Object.keys(row['headers'] as object), ['x-gateway-webhooks'])
  t.match(JSON.parse(String(row['body'])), { who: { phone: PHONE.slice(1) } })
  t.strictSame(await inboxOf(app, 'buoy', 'globex'), [], 'another shop sees nothing of it')
  t.notMatch(app.lines.join('\n'), new RegExp(PHONE.slice(1)), 'no number in the log')
})

t.test('junk in, nothing broken: what cannot be read is parked, what nobody acts on is recorded, all are answered 200', async t => {
  const app = await startBuoyApp(t)
  const path = await listening(app)
  const deep = `${'['.repeat(50_000)}${']'.repeat(50_000)}`
  const junk: Array<[string, string | Buffer, string, string]> = [
    ['nothing', '', 'parked', 'not_json'],
    ['broken JSON', '{"what":', 'parked', 'not_json'],
    ['a list', '[]', 'parked', 'not_json'],
    ['null', 'null', 'parked', 'not_json'],
    ['depth', deep, 'parked', 'not_json'],
    ['bytes', Buffer.from([0xff, 0xfe, 0x00, 0x7b]), 'parked', 'not_json'],
    ['nothing in it', '{}', 'recorded', 'not_acted_on'],
    ['prototype keys', '{"__proto__":{"what":"person.in"},"constructor":{"prototype":{"who":{"id":"x"}}}}', 'recorded', 'not_acted_on'],
    ['another event', '{"what":"person.wrote","who":{"id":"p1"}}', 'recorded', 'not_acted_on'],
    ['an event that is no text', '{"what":{"a":1}}', 'recorded', 'not_acted_on'],
    ['nobody', '{"what":"person.in","when":"2026-11-20T10:00:00"}', 'parked', 'nobody_named'],
    ['a number that is none', '{"what":"person.in","who":{"phone":"call me"}}', 'parked', 'nobody_named'],
    ['an id that is no text', '{"what":"person.in","who":{"id":{"a":1},"phone":["1"]}}', 'parked', 'nobody_named'],
    ['an id without end', JSON.stringify({ what: 'person.in', who: { id: 'x'.repeat(5000) } }), 'parked', 'nobody_named'],
    ['a time that is none', '{"what":"person.in","when":"soon","who":{"id":"p9","phone":"+1 (201) 555-0123"}}', 'recorded', 'noticed']
  ]
  for (const [name, raw] of junk) t.equal((await call(app, path, null, { raw })).status, 200, name)
  t.strictSame((await inboxOf(app)).map(({ state, reason }) => [state, reason]), junk.map(([, , state, reason]) => [state, reason]))
  t.equal((await call(app, path, null, { raw: '{}' })).body['status'], 'repeat', 'the same bytes')
  t.equal(({} as Record<string, unknown>)['what'], undefined)
  const [, broken] = await inboxOf(app)
  t.match(await app.ask('POST', `/v1/inbox/${String(broken?.id)}/retry`), { status: 202 }, 'a person may have it looked at again')
  await inboxOf(app)
})

t.test('#1 #98: without the token, with an empty, a wrong, a doubled, or another account\'s one: 401 without a word, and nothing is kept', async t => {
  const app = await startBuoyApp(t)
  const path = await listening(app)
  await connect(app, KEY_OTHER, 'globex.example')
  await until(async () => (await standing(app, 'globex.example'))?.['state'] === 'on')
  const token = 'secret-of-one-0123456789'
  for (const [name, given] of [['none', null], ['empty', ''], ['wrong', 'secret-of-one-0123456780'], ['longer', `${token}0`], ['shorter', token.slice(0, -1)], ['another account\'s', 'secret-of-two-0123456789'], ['twice', [token, token]], ['with another', [token, 'x']], ['in other letters', token.toUpperCase()]] as const) {
    const answer = await call(app, path, told('p1'), { token: given as string | string[] | null })
    t.match(answer, { status: 401, body: { error: { message: 'Not accepted.' } } }, name)
    t.strictSame(Object.keys(answer.body), ['error'], name)
  }
  t.equal((await call(app, path, told('p1'), { headers: { authorization: `Bearer ${app.keyOf('all')}` }, token: null })).status, 401, 'an API key is no token')
  t.strictSame(await inboxOf(app), [])
  t.match((await (await request(`${app.url}/metrics`)).body.text()), /gateway_inbox_refused_total\{source="buoy",status="401"\} 10/)
})

t.test('#17: an address that is none is 404, as one that has ended; the token does not help', async t => {
  const app = await startBuoyApp(t)
  const path = await listening(app)
  const part = path.split('/').at(-1) as string
  const other = `${part.slice(0, -1)}${part.endsWith('A') ? 'B' : 'A'}`
  for (const wrong of ['/webhooks/buoy', '/webhooks/buoy/', `/webhooks/buoy/${other}`, `/webhooks/buoy/${part}x`, `/webhooks/buoy/${part}/`, `/webhooks/buoy//${part}`, `/webhooks/buoy/%2e%2e/${part}`, `/webhooks/BUOY/${part}`, `/webhooks/courier/${part}`, `/webhooks/buoy/${part}%00`, `/webhooks/buoy/${part};x=1`, `/webhooks/buoy/${'x'.repeat(5000)}`, `/webhooks/buoy/${part.toLowerCase()}`]) {
    t.equal((await call(app, wrong, told('p1'))).status, 404, wrong.slice(0, 60))
  }
  t.equal((await request(app.url + path)).statusCode === 200, false, 'a GET')
  await disconnect(app)
  t.equal((await call(app, path, told('p1'))).status, 404)
  t.strictSame(await inboxOf(app), [])
})

t.test('R80 #12: a body beyond 256 KiB is 413 and one that is compressed 415; of a caller without the token nothing is read', async t => {
  const app = await startBuoyApp(t)
  const path = await listening(app)
  const fits = Buffer.alloc(256 * 1024, 0x20)
  t.equal((await call(app, path, null, { raw: fits })).status, 200)
  t.match(await call(app, path, null, { raw: Buffer.concat([fits, fits]) }), { status: 413, body: { error: { code: 'GW_TOO_LARGE' } } })
  t.match(await call(app, path, told('p1'), { headers: { 'content-encoding': 'gzip' } }), { status: 415 })
  const refused = await call(app, path, null, { raw: fits, token: 'wrong' })
  t.match(refused, { status: 401, headers: { connection: 'close' } })
  t.equal((await inboxOf(app)).length, 1)
})

t.test('a token that was made anew at the provider is fetched at the first wrong call, and no more than once in ten minutes', async t => {
  const clock = movable()
  const app = await startBuoyApp(t, { runtime: clock.runtime })
  const path = await listening(app)
  const fetched = async (): Promise<number> => (await app.received('buoy')).filter(({ path }) => path === '/secret').length
  const settled = (): Promise<void> => until(async () => (await app.query("select 1 from jobs where kind = 'webhooks'")).length === 0)
  await settled()
  t.equal(await fetched(), 1)
  await world(app, { secrets: { one: 'another-0123456789' } })
  t.equal((await call(app, path, told('p1'), { token: 'another-0123456789' })).status, 401)
  await until(async () => await fetched() === 2)
  await settled()
  t.equal((await call(app, path, told('p1'), { token: 'another-0123456789' })).status, 200, 'the provider calls again some minutes later')
  t.equal((await call(app, path, told('p2'))).status, 401, 'the old one is none any more')
  for (let i = 0; i < 20; i++) await call(app, path, told('p2'), { token: `guess-${i}` })
  await settled()
  t.equal(await fetched(), 2, 'whoever knows the address alone makes us ask no more often')
  clock.advance(10 * 60_000)
  t.equal((await call(app, path, told('p2'), { token: 'guess' })).status, 401)
  await until(async () => await fetched() === 3)
  await settled()
  t.strictSame((await hooksOf(app)).map(({ on }) => on).toSorted(), EVENTS)
})

t.test('on disk before it is answered: what was received before a restart is worked on after it', async t => {
  const app = await startBuoyApp(t)
  const path = await listening(app)
  const answered = await Promise.all(Array.from({ length: 20 }, (_, i) => call(app, path, told(`p${i}`))))
  t.ok(answered.every(({ status }) => status === 200))
  await app.restart()
  const rows = await inboxOf(app)
  t.equal(rows.length, 20)
  t.ok(rows.every(({ reason }) => reason === 'noticed'))
})
