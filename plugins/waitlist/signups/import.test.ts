// Sign-ups from a file: a report of every row, and nothing twice.

import { setImmediate } from 'node:timers/promises'
import t from 'tap'
import type { Body } from '../../../test/helpers/app.ts'
import { only, PAGE, PHONE, SHOP, world } from './world.test-world.ts'

const HEADER = 'Phone,Name,Email,Variant ID,Variant title,Price,Currency,Product ID,Product title,Product URL,Market,Language,SMS consent,Date'
const line = ({ phone = PHONE, name = 'Ada', variant = 'v1', consent = 'yes', date = '2026-11-20T10:00:00Z', market = '' } = {}): string =>
  `${phone},${name},ada@example.com,${variant},Medium,49.90,USD,p1,Floral Shirt,${PAGE}/p,${market},en-US,${consent},${date}`
const file = (...lines: string[]): string => [HEADER, ...lines].join('\n')
const phoneOf = (i: number): string => `+120155501${String(i).padStart(2, '0')}`
const rows = (body: Body): Body[] => body['report'] as Body[]

t.test('each row is reported: joined, waiting, or refused with the reason; the good ones are in', async t => {
  const w = await world(t, { options: { allowed_countries: ['US'] } })
  await w.joined('before', { data: { joined_at: '2026-01-01T00:00:00Z' } })
  const { status, body } = await w.upload(file(
    line(), line({ phone: phoneOf(24) }), line({ phone: '201 555 0125' }), line({ phone: '+18005550123' }), line({ phone: '+14165550123' }), line({ phone: phoneOf(24), name: 'Again' }),
    line({ phone: phoneOf(26), date: '2099-01-01' }), line({ phone: phoneOf(27), name: '=1+1' }), line({ phone: phoneOf(28), date: 'soon' }), `${phoneOf(29)},short`, line({ phone: phoneOf(30), variant: '' }), line({ phone: phoneOf(31), market: 'eu' })
  ))
  t.equal(status, 200)
  t.match(body, { shop: SHOP, rows: 12, joined: 2, waiting: 2, refused: 8, without_consent: 0, ignored_columns: [] })
  t.strictSame(rows(body).map(({ row, status, code }) => [row, status, code ?? null]), [
    [2, 'waiting', null], [3, 'joined', null], [4, 'refused', 'phone_invalid'], [5, 'refused', 'phone_not_textable'], [6, 'refused', 'country_not_allowed'], [7, 'waiting', 'repeated'],
    [8, 'refused', 'future'], [9, 'refused', 'formula'], [10, 'refused', 'date_invalid'], [11, 'refused', 'required'], [12, 'refused', 'required'], [13, 'joined', null]
  ])
  for (const row of rows(body)) if (row['status'] === 'refused') t.match(row['message'], /\w{3,}/)
  t.match(await w.signups('?state=waiting'), [{ market: 'eu', joined_at: '2026-11-20T10:00:00.000Z' }, { customer: { phone: phoneOf(24), name: 'Ada' }, consent: true }, { joined_at: '2026-01-01T00:00:00.000Z' }])
})

t.test('the same file again changes nothing, however often and however late', async t => {
  const w = await world(t)
  const csv = file(...Array.from({ length: 30 }, (_, i) => line({ phone: phoneOf(20 + i), date: i % 2 ? '' : '2026-11-20', consent: i % 2 ? '' : 'yes' })))
  t.match((await w.upload(csv)).body, { joined: 30, without_consent: 15 })
  const first = await w.app.query('select * from waitlist_signups order by signup_key')
  for (const text of [csv, csv.replaceAll('\n', '\r\n'), `\ufeff${csv}`]) t.match((await w.upload(text)).body, { joined: 0, waiting: 30, without_consent: 15 })
  t.strictSame(await w.app.query('select * from waitlist_signups order by signup_key'), first)
  await w.app.query('update waitlist_signups set state = 3, alerted_at = told_at')
  await w.app.query('update waitlist_signups set state = 5, reason = \'removed\' where signup_key <= 10')
  await w.app.query('update events set source_id = id') // their ids are not known any more
  const { body } = await w.upload(csv)
  t.match(body, { joined: 0, waiting: 0, refused: 30 })
  t.strictSame([...new Set(rows(body).map(({ code }) => code))], ['removed', 'ended'])
})

t.test('one who was alerted waits again only by a later date, and one who was erased not by the same file', async t => {
  const w = await world(t)
  await w.upload(file(line()))
  await w.app.query('update waitlist_signups set state = 3, alerted_at = told_at')
  w.advance(48 * 3_600_000)
  const later = new Date(Date.now() + 24 * 3_600_000).toISOString()
  t.match((await w.upload(file(line({ date: later })))).body, { joined: 1 })
  t.match(only(await w.signups()), { state: 'waiting', joined_at: later })
  await w.app.query('delete from waitlist_signups')
  const { body } = await w.upload(file(line(), line({ phone: phoneOf(24) })))
  t.match(rows(body), [{ status: 'refused', code: 'taken_before' }, { status: 'joined' }])
  t.equal((await w.signups()).length, 1)
})

t.test('#91: without proof of consent a customer waits and is not texted; a later file may prove it', async t => {
  const w = await world(t)
  const bare = 'Phone,Name,Email,Variant ID,Variant title,Price,Currency,Product ID,Product title,Product URL,Date'
  const row = `${PHONE},Ada,ada@example.com,v1,Medium,49.90,USD,p1,Shirt,${PAGE}/p,2026-11-20`
  t.match((await w.upload(`${bare}\n${row}`)).body, { joined: 1, without_consent: 1, report: [{ status: 'joined', code: 'no_consent', message: /consent/ }] })
  t.match(only(await w.signups()), { state: 'waiting', consent: false, reason: 'no_consent' })
  t.match((await w.app.query('select data from events'))[0], { data: /"sms":false/ }, 'and no provider is told of one')
  t.match((await w.upload(`${bare}\n${row}`)).body, { waiting: 1, without_consent: 1 })
  w.advance(1000)
  t.match((await w.upload(file(line({ date: '2026-11-20' })))).body, { joined: 1, without_consent: 0 })
  t.match(only(await w.signups()), { consent: true, joined_at: '2026-11-20T00:00:00.000Z' })
  await w.app.query('update waitlist_signups set state = 4, reason = \'no_consent\', consent = 0') // a wave came by
  t.match((await w.upload(`${bare}\n${row}`)).body, { refused: 1, report: [{ code: 'ended' }] })
  w.advance(1000)
  t.match((await w.upload(file(line({ date: '2026-11-20T00:00:00Z', name: 'Ada L' })))).body, { refused: 1, report: [{ code: 'taken_before' }] }, 'of the same row nothing follows again')
  t.match((await w.upload(file(line({ date: '2026-11-20T01:00:00Z' })))).body, { joined: 1 })
  t.match(only(await w.signups()), { state: 'waiting', consent: true, joined_at: '2026-11-20T01:00:00.000Z' })
})

t.test('many rows go in by lots, each as a whole; after a crash between two the same file does the rest', async t => {
  const w = await world(t)
  const csv = file(...Array.from({ length: 1200 }, (_, i) => line({ phone: phoneOf(i % 100), variant: `v${Math.floor(i / 100)}` })))
  const many = async (): Promise<number> => Number((await w.app.query('select count(*) as rows from waitlist_signups'))[0]?.rows)
  const seen = new Set<number>()
  const watched = async (): Promise<void> => {
    for (; !seen.has(1200); await setImmediate()) seen.add(await many())
  }
  const [answers] = await Promise.all([Promise.all([w.upload(csv), w.upload(csv)]), watched()])
  t.strictSame([...seen].filter(count => ![0, 500, 1000, 1200].includes(count)), [], 'no part of a lot is ever there alone')
  t.strictSame(answers.map(({ status }) => status).toSorted((a, b) => a - b), [200, 409], 'one file of a shop at a time')
  t.match(answers.find(({ status }) => status === 200)?.body, { rows: 1200, joined: 1200, refused: 0 })
  await w.app.query('delete from waitlist_signups where signup_key > 500')
  await w.app.query('delete from deliveries where event_key in (select event_key from events order by event_key desc limit 700)')
  await w.app.query('delete from events where event_key in (select event_key from events order by event_key desc limit 700)')
  t.match((await w.upload(csv)).body, { joined: 700, waiting: 500, refused: 0 })
  t.equal(await many(), 1200)
})

t.test('what is no such file is refused as a whole, with what to do', async t => {
  const w = await world(t)
  t.match(await w.upload('Name,SKU\nAda,1'), { status: 422, body: { error: { code: 'GW_REQUEST_INVALID', details: [{ rule: 'column_missing', message: /Phone/ }, { message: /Variant ID/ }, { message: /Product ID/ }] } } })
  t.match(await w.upload(''), { status: /^4/ as unknown as number })
  t.match(await w.upload('Phone,Mobile,Variant ID,Product ID\n1,2,3,4'), { status: 422, body: { error: { details: [{ rule: 'column_twice' }] } } })
  t.match(await w.upload(Buffer.from('Phone\nZo\xeb', 'latin1')), { status: 422, body: { error: { message: /UTF-8/ } } })
  t.match(await w.upload('Phone,Variant ID\n"1,2'), { status: 422 })
  t.match(await w.upload(`Phone\n${'1\n'.repeat(10_001)}`), { status: 413, body: { error: { message: /10000 rows/ } } })
  t.equal((await w.upload('x'.repeat(4 * 1024 * 1024 + 1))).status, 413)
  t.equal((await w.upload('{}', { headers: { 'content-type': 'application/json' } })).status, 415)
  t.strictSame(await w.app.query('select id from events'), [])
})
