// The names that merchants' flows are built on, to the letter.

import { Ajv2020 } from 'ajv/dist/2020.js'
import t from 'tap'
import type { JsonSchema } from '../../gateway/contract.ts'
import { caseScope } from '../../gateway/providers/cases.ts'
import { EVENT_TYPES, entry, loadOne } from '../../test/helpers/providers.ts'

const postscript = await loadOne(entry('postscript', import.meta.dirname))

const BACK_IN_STOCK = ['currency', 'customer_name', 'customer_phone', 'image_url', 'price', 'product_title', 'purchase_link', 'shop_name', 'title_incl_variant', 'variant_title', 'vendor']
const PREORDER = ['customer_name', 'first_product', 'order_name', 'products', 'products_count', 'shipping_timeline', 'shop_name']

/** By event type: its trigger, all of its properties, and those that go out where the event has no more than it must. */
const NAMES: Record<string, { trigger: string, all: string[], least: string[] }> = {
  'back_in_stock.alert': { trigger: 'back_in_stock_sms_alert', all: BACK_IN_STOCK, least: BACK_IN_STOCK.filter(name => !['customer_name', 'image_url', 'variant_title', 'vendor'].includes(name)) },
  'back_in_stock.reminder': { trigger: 'back_in_stock_sms_reminder_1', all: BACK_IN_STOCK, least: BACK_IN_STOCK.filter(name => !['customer_name', 'image_url', 'variant_title', 'vendor'].includes(name)) },
  'preorder.confirmed': { trigger: 'preorder_sms_confirmed', all: PREORDER, least: PREORDER.filter(name => !['customer_name', 'shipping_timeline'].includes(name)) }
}

for (const [type, { trigger, all, least }] of Object.entries(NAMES)) {
  t.test(`${type}: the trigger and these properties, and nothing else`, async t => {
    const [full, minimal] = (EVENT_TYPES[type] as JsonSchema)['examples'] as [Data, Data]
    const body = bodyOf(type, full)
    t.strictSame(Object.keys(body), ['type', 'phone', 'occurred_at', 'external_id', 'properties'])
    t.match(body, { type: trigger, phone: '+12015550123', occurred_at: '2026-11-21 19:20:00.000000', external_id: 'key-1' })
    t.strictSame(Object.keys(body.properties).toSorted(), all)
    for (const [name, value] of Object.entries(body.properties)) t.equal(typeof value, name === 'products_count' ? 'number' : 'string', name)
    const phone = { ...minimal, customer: { ...minimal.customer, phone: '+12015550124' } }
    t.strictSame(Object.keys(bodyOf(type, phone).properties).toSorted(), least, 'what is absent or empty is left out')
    const bare = bodyOf(type, full, { send_customer_name: false, send_customer_phone: false })
    t.strictSame(Object.keys(bare.properties).toSorted(), all.filter(name => !name.startsWith('customer_')), 'as Postscript wants it where it refuses personal data')
    t.equal(bare.phone, body.phone, 'the message goes to the phone all the same')
  })
}

t.test('a time is UTC to the second, whatever its zone', async t => {
  const [data] = (EVENT_TYPES['back_in_stock.alert'] as JsonSchema)['examples'] as [Data]
  const scope = caseScope({ type: 'back_in_stock.alert', data })
  for (const [time, sent] of [['2026-11-21T19:20:00.987Z', '2026-11-21 19:20:00.000000'], ['2026-12-31T23:30:00-02:00', '2027-01-01 01:30:00.000000']] as const) {
    const prepared = postscript.prepare('back_in_stock.alert', { ...scope, event: { ...scope.event, time } })
    t.ok(prepared.ok && (JSON.parse(prepared.request.body as string) as Body).occurred_at === sent, time)
  }
})

t.test('a trigger\'s name is letters, digits and underscores', async t => {
  const fits = new Ajv2020({ strict: false }).compile(postscript.settings)
  for (const name of ['alert_trigger', 'reminder_trigger', 'preorder_trigger']) {
    t.ok(fits({ ...postscript.settingsDefaults, [name]: 'Back_in_stock_2' }), name)
    for (const wrong of ['', 'back in stock', 'back-in-stock', 'a:b', 'x'.repeat(256), 7]) t.notOk(fits({ ...postscript.settingsDefaults, [name]: wrong }), `${name}: ${wrong}`)
  }
  t.notOk(fits({ ...postscript.settingsDefaults, reminder: 'x' }), 'and there are no others')
})

type Data = Record<string, unknown> & { customer: Record<string, unknown> }
interface Body { type: string, phone: string, occurred_at: string, external_id: string, properties: Record<string, unknown> }

function bodyOf (type: string, data: Data, settings: Record<string, unknown> = {}): Body {
  const prepared = postscript.prepare(type, caseScope({ type, data, settings }))
  if (!prepared.ok) throw new Error(prepared.detail)
  return JSON.parse(prepared.request.body as string) as Body
}
