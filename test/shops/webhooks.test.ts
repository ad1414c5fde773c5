// What is read of what a provider tells, which subscriptions are ours, and what proves who is calling.

import { join } from 'node:path'
import t from 'tap'
import type { Provider, ProviderWebhooks, Received, Row, Store, Value } from '../../gateway/contract.ts'
import { readNotice, refIn, repeatOf } from '../../gateway/shops/webhooks/notice.ts'
import { understood } from '../../gateway/shops/webhooks/receiving.ts'
import { hashIn, hashOf, isSigned, planOf } from '../../gateway/shops/webhooks/registration.ts'
import type { Notice } from '../../gateway/shops/webhooks/webhooks.ts'
import { BUOY, told } from '../helpers/buoy.ts'
import { entry, loadOne, writeFolder } from '../helpers/providers.ts'
import { tempDir } from '../helpers/tmp.ts'

const NOW = Date.parse('2026-11-22T10:00:00Z')
const buoy = await loadOne(entry('buoy', writeFolder(join(tempDir(t), 'buoy'), BUOY))) as Provider & { webhooks: ProviderWebhooks }
const read = (body: Record<string, unknown>) => readNotice(body, buoy.webhooks, NOW)

/** Answers what it is asked with these rows. */
function knowing (rows: Row[]): Store { return { read: async () => rows } as unknown as Store }

const received = (body: string | null, headers: Record<string, string> = { 'x-gateway-webhooks': 'whk_1' }): Received => ({ id: 'inb_1', receivedAt: NOW, topic: 'person.in', shop: null, subject: null, headers, body })

t.test('a person by number, by id, or by both; a time that is never later than it came', async t => {
  t.strictSame(read(told('p1')), { is: 'notice', notice: { phone: '+12015550123', ref: 'p1', state: 'subscribed', at: Date.parse('2026-11-20T10:00:00Z') } })
  t.match(read(told('', {})), { notice: { phone: '+12015550123', ref: null } })
  t.match(read({ ...told('p1'), who: { id: 42 } }), { notice: { phone: null, ref: '42' } })
  for (const [given, at] of [['2026-11-20T10:00:00.123456', '2026-11-20T10:00:00.123Z'], ['2026-11-20T10:00:00Z', '2026-11-20T10:00:00Z'], ['2026-11-20T10:00:00+02:00', '2026-11-20T08:00:00Z'], ['2099-01-01T00:00:00Z', '2026-11-22T10:00:00Z'], ['soon', '2026-11-22T10:00:00Z'], [null, '2026-11-22T10:00:00Z'], ['2026-02-31T99:00:00', '2026-11-22T10:00:00Z']] as const) {
    t.match(read(told('p1', { when: given })), { notice: { at: Date.parse(at) } }, String(given))
  }
  t.match(read(told('p1', {}, 'person.out')), { notice: { state: 'opted_out', at: NOW } })
  for (const [given, phone] of [['+12015550123', '+12015550123'], ['1 (201) 555-0123', '+12015550123'], [12015550123, '+12015550123'], ['2015', null], ['0201555012', null], ['12015550123x', null], ['1201555012345678', null]] as const) {
    t.match(read({ ...told('p1'), who: { id: 'p1', phone: given } }), { notice: { phone } }, String(given))
  }
  t.match(read({ ...told('p1'), who: { id: 'a\u0000b', phone: '12015550123' } }), { notice: { ref: null } })
  t.strictSame(repeatOf(told('p1'), buoy.webhooks), ['person.in', 'p1', '2026-11-20T10:00:00'])
  t.equal(repeatOf({ what: 'person.in', when: 'x' }, buoy.webhooks), null, 'what lacks a part of it is told by its bytes alone')
  t.equal(refIn(told('p1', {}, 'person.none'), buoy.webhooks), null)
})

t.test('what follows is passed on with the account, the number and the id; what fails to be passed on fails', async t => {
  const heard: Notice[] = []
  const noticed = async (notice: Notice): Promise<void> => { heard.push(notice) }
  const store = knowing([{ account_key: 7, provider: 'buoy' }])
  t.match(await understood(received(JSON.stringify(told('p1'))), buoy, { store, noticed }), { is: 'recorded', reason: 'noticed' })
  t.strictSame(heard, [{ accountKey: 7, phone: '+12015550123', ref: 'p1', state: 'subscribed', at: Date.parse('2026-11-20T10:00:00Z') }])
  await t.rejects(understood(received(JSON.stringify(told('p1'))), buoy, { store, noticed: async () => { throw new Error('not now') } }), /not now/)
  t.match(await understood(received('{}'), buoy, { store, noticed }), { is: 'recorded', reason: 'not_acted_on' })
  t.match(await understood(received(null), buoy, { store, noticed }), { is: 'parked', reason: 'not_json' })
  t.match(await understood(received(JSON.stringify(told('p1')), {}), buoy, { store: knowing([]), noticed }), { is: 'recorded', reason: 'callback' })
  t.match(await understood(received(JSON.stringify(told('p1'))), buoy, { store: knowing([{ account_key: 7, provider: 'other' }]), noticed }), { is: 'recorded', reason: 'callback' })
  t.equal(heard.length, 1)
})

t.test('only what has our secret part is ours, wherever it leads', async t => {
  const token = 'T'.repeat(43)
  for (const url of [`https://a.example/webhooks/buoy/${token}`, `https://b.example/in/webhooks/buoy/${token}?x=1`, `http://127.0.0.1:8080/webhooks/buoy/${token}`]) t.equal(hashIn(url, 'buoy'), hashOf(token), url)
  for (const url of ['https://a.example/webhooks/buoy/', `https://a.example/webhooks/other/${token}`, `https://a.example/webhooks/buoy/${token}x`, `https://a.example/${token}`, `webhooks/buoy/${token}`, null, 7, 'x']) t.equal(hashIn(url, 'buoy'), null, String(url))
  const at = (part: string): string => `https://a.example/webhooks/buoy/${part.repeat(43)}`
  const item = (id: string, to: string, on: string) => ({ id, to, on })
  const known: Array<Record<string, Value>> = [{ hash: hashOf('E'.repeat(43)), id: 'w0', ended_at: 1 }, { hash: hashOf('O'.repeat(43)), id: 'w2', ended_at: null }]
  const items = [item('1', at('T'), 'person.in'), item('2', at('T'), 'person.in'), item('3', at('E'), 'person.out'), item('4', at('O'), 'person.out'), item('5', at('N'), 'person.out'), { on: 'person.out' }, null]
  t.strictSame(await planOf(items, at('T'), 'buoy', buoy.webhooks, knowing(known)), { remove: ['2', '3'], missing: ['person.out'] })
  t.strictSame(await planOf(items, null, 'buoy', buoy.webhooks, knowing(known)), { remove: ['3'], missing: [] })
})

t.test('#7: a token is compared whole, whatever it differs in', async t => {
  const token = 'secret-0123456789'
  t.equal(isSigned(token, token), true)
  for (const given of [undefined, '', [token], 'secret-0123456780', `${token} `, token.slice(1), 'é'.repeat(17)]) t.equal(isSigned(given, token), false, String(given))
  t.equal(isSigned('', ''), false)
  t.equal(isSigned(token, null), false)
})
