// Whom a platform means, and whether a text names them (#92): phone numbers as people write them, addresses, ids.

import t from 'tap'
import { matcher } from '../../gateway/privacy/match.ts'
import { hexOf, marksOf, personOf, sealed, subjectOf, unsealed, type Subject } from '../../gateway/privacy/who.ts'
import { createVault } from '../../gateway/shops/vault.ts'
import { key32 } from '../helpers/make.ts'

const vault = createVault([{ id: 'k1', key: key32() }], key32())
const person = (customer: Subject['customer'], orders: string[] = []) => personOf({ customer, orders }, vault)
const names = (customer: Subject['customer'], text: string, orders: string[] = []): boolean => matcher(person(customer, orders))(text)
const hash = (phone: string): string => vault.fingerprint('person', phone).toString('hex')

t.test('a phone number is read in each way it can be: with its country, with the one that is said, and as it is', async t => {
  for (const [phone, country, phones] of [
    ['+1 201-555-0123', undefined, ['+12015550123']],
    ['001 201 555 0123', undefined, ['+12015550123']],
    ['12015550123', undefined, ['+12015550123']],
    ['(201) 555-0123', 'US', ['+12015550123']],
    ['(201) 555-0123', undefined, []],
    ['(201) 555-0123', 'XX', []],
    ['555-01', 'US', []],
    ['', undefined, []]
  ] as const) {
    const read = person({ phone, ...(country && { country }) })
    t.strictSame(read.phones, phones, `${phone} ${country ?? ''}`)
    t.strictSame(hexOf(read.persons), phones.map(hash), 'as the door hashes them')
  }
})

t.test('an address and ids are taken as they are meant; nothing is nobody', async t => {
  t.match(person({ email: ' Ada@Example.COM ', id: '6001' }, ['9001', '']), { emails: ['ada@example.com'], customerIds: ['6001'], orderIds: ['9001'] })
  t.match(person({}), { persons: [], emails: [], customerIds: [], orderIds: [], phones: [], nationals: [] })
  t.match(subjectOf({ customer: { id: '1' }, orders: ['2'], request_id: 'x' }), { customer: { id: '1' }, orders: ['2'] })
  t.equal(marksOf(person({ email: 'a@example.com', id: '6001', phone: '+12015550123' }), vault).length, 3)
})

t.test('a text names a person by a phone number in any form, and no other number', async t => {
  const ada = { phone: '+12015550123' }
  for (const text of ['{"to":"+12015550123"}', 'To=%2B12015550123&From=1', '(201) 555-0123', '{"phone":"201.555.0123"}', '{"n":12015550123}', '0012015550123', 'call 1-201-555-0123 now']) t.ok(names(ada, text), text)
  for (const text of ['+12015550124', '120155501234', '+442015550123', '2015-55-01', '', '{"a":1}']) t.notOk(names(ada, text), text)
  const home = { phone: '201 555 0123' }
  for (const text of ['+12015550123', '(201) 555-0123', '02015550123']) t.ok(names(home, text), `${text}: of whatever country`)
  t.notOk(names(home, '+12015550124'))
})

t.test('by an address, whole and in either case', async t => {
  const ada = { email: 'ada+shop@example.com' }
  for (const text of ['{"email":"Ada+Shop@example.com"}', 'mail=ada%2Bshop%40example.com', 'to <ada+shop@example.com>.']) t.ok(names(ada, text), text)
  for (const text of ['bada+shop@example.com', 'ada+shop@example.community', 'ada+shop@example.com.example', 'ada@example.com', 'adaXshop@example.com']) t.notOk(names(ada, text), text)
})

t.test('by a long id anywhere, by a short one where it is said what it is', async t => {
  t.ok(names({ id: '600100200' }, '{"x":600100200}'))
  t.ok(names({}, 'gid://platform/Order/900100200', ['900100200']))
  t.notOk(names({ id: '600100200' }, '{"x":6001002001,"y":"a600100200"}'))
  t.ok(names({ id: '820982911946154508' }, '{"id":820982911946154508}'), 'also one that no number holds')
  for (const text of ['{"customer":{"id":6001}}', '{"customer_id":"6001"}', '{"data":{"customer":{"id":"6001"}}}']) t.ok(names({ id: '6001' }, text), text)
  for (const text of ['{"product":{"id":"6001"}}', '{"customer":{"age":6001}}', '{"price":"6001"}', 'customer 6001']) t.notOk(names({ id: '6001' }, text), text)
  for (const text of ['{"orders":["9001"]}', '{"order":{"id":9001}}', '{"orders":[{"id":9001}]}']) t.ok(names({}, text, ['9001']), text)
})

t.test('a hostile text is no reason to look for long', async t => {
  const ada = matcher(person({ phone: '+12015550123', email: 'ada@example.com', id: '600100200' }))
  const began = performance.now()
  for (const part of ['1-', '+1 ', '%', '%4', '0 ', 'ada@', '((((', '1.1.']) t.notOk(ada(part.repeat(2 * 1024 * 1024 / part.length)), part)
  t.ok(performance.now() - began < 20_000)
})

t.test('a text that is as deep as it is long ends no search, nor hides what is in it', async t => {
  const deep = (inside: string): string => '{"a":['.repeat(200_000) + inside + ']}'.repeat(200_000)
  t.notOk(names({ id: '6001' }, deep('{"price":"6001"}')))
  t.ok(names({ id: '6001' }, deep('{"customer":{"id":6001}}')))
})

t.test('whom it is about is sealed for its shop and its request alone', async t => {
  const subject = { customer: { phone: '+12015550123' }, orders: [] }
  const row = sealed('acme.example', 'prv_1', subject, vault)
  t.notMatch(Buffer.from(row.sealed).toString('latin1'), '2015550123')
  t.strictSame(unsealed('acme.example', 'prv_1', row, vault), subject)
  t.throws(() => unsealed('acme.example', 'prv_2', row, vault))
  t.throws(() => unsealed('globex.example', 'prv_1', row, vault))
})
