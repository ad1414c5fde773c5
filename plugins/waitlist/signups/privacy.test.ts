// F7: what the waitlist keeps of a person is erased and handed out; and all that it keeps of a shop goes with it.

import t, { type Test } from 'tap'
import type { Who } from '../../../gateway/contract.ts'
import waitlist from '../index.ts'
import { asEvent, aSignup, contextOf, PHONE, world, type World } from './world.test-world.ts'

const OTHER = '+12015550124'
const NOBODY: Who = { persons: [], emails: [], customerIds: [], orderIds: [] }

async function filled (t: Test): Promise<World> {
  const w = await world(t)
  for (const [i, variant] of ['v1', 'v2'].entries()) await w.joined(`ada-${i}`, { data: asEvent({ variant }) })
  await w.joined('elsewhere', { shop: 'globex.example' })
  await w.joined('bob', { data: { ...asEvent({ phone: OTHER }), customer: { name: 'Bob', phone: OTHER, country: 'US', email: 'bob@example.com', id: 'c2' } } })
  await w.signUp(aSignup({ variant: 'v3' }))
  return w
}

t.test('#92: a customer is erased by phone, by e-mail or by id, at one shop; again changes nothing, and others stay', async t => {
  for (const by of ['phone', 'email', 'id'] as const) {
    const w = await filled(t)
    const { context, key, person } = await contextOf(t, w)
    const who: Who = { ...NOBODY, ...(by === 'phone' ? { persons: [person(PHONE)] } : by === 'email' ? { emails: ['ADA@example.com'] } : { customerIds: ['c1'] }) }
    for (let i = 0; i < 2; i++) await waitlist.privacy?.redact(who, await key('acme.example'), context)
    const left = await w.app.query('select s.id as shop, w.data from waitlist_signups w join shops s on s.shop_key = w.shop_key order by w.signup_key')
    t.strictSame(left.map(({ shop, data }) => `${String(shop)} ${(JSON.parse(String(data)) as { customer: { phone: string } }).customer.phone}`),
      ['globex.example +12015550123', 'acme.example +12015550124', ...by === 'id' ? ['acme.example +12015550123'] : []], by)
    t.equal((await w.app.query('select who from waitlist_tries where who <> \'\'')).length, by === 'phone' ? 0 : 2, by)
  }
})

t.test('a customer is told what is kept, once each, and of nobody else', async t => {
  const w = await filled(t)
  const { context, key, person } = await contextOf(t, w)
  const told = await waitlist.privacy?.export({ ...NOBODY, persons: [person(PHONE)], emails: ['ada@example.com'], customerIds: ['c1'] }, await key('acme.example'), context) as { signups: Array<{ variant: { id: string }, customer: { phone: string } }> }
  t.strictSame(told.signups.map(({ variant }) => variant.id).toSorted(), ['v1', 'v2', 'v3'])
  t.ok(told.signups.every(({ customer }) => customer.phone === PHONE))
  t.strictSame(await waitlist.privacy?.export({ ...NOBODY, persons: [person('+12015550199')] }, await key('acme.example'), context), { signups: [] })
})

t.test('a shop that is forgotten leaves no row in any table, and takes none of another shop\'s', async t => {
  const w = await filled(t)
  await w.app.query('insert into waitlist_products (shop_key, product, data, at) select shop_key, \'p1\', \'{}\', 1 from shops')
  await w.app.query('insert into waitlist_settings (shop_key, data, updated_at) select shop_key, \'{}\', 1 from shops')
  await w.app.query('insert into waitlist_levels (shop_key, variant, location, at, available) select shop_key, \'v1\', \'l1\', 1, 1 from shops')
  await w.app.query('insert into waitlist_waves (id, shop_key, variant, kind, started_at) select id, shop_key, \'v1\', \'manual\', 1 from shops')
  const { context, key } = await contextOf(t, w)
  const acme = await key('acme.example')
  await waitlist.privacy?.forgetShop(acme, context)
  for (const table of ['signups', 'levels', 'stock', 'products', 'settings', 'waves', 'tokens', 'tries']) {
    const rows = await w.app.query(`select shop_key from waitlist_${table}`)
    t.strictSame(rows.filter(row => Number(row.shop_key) === acme), [], table)
    t.equal(rows.length > 0, !['tokens', 'tries'].includes(table), `${table} of the other shop`)
  }
})
