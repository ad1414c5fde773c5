// A day in the life, and the days after it: one shop as the gateway ships, from what is sold out to the uninstall. All of it by
// signed webhooks, pages and the API; at the end every message and every non-message is read with its reason.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { request } from 'undici'
import { ROOT, until, type Body } from '../../test/helpers/app.ts'
import { found, wordsOf } from '../../test/helpers/privacy.ts'
import { PRODUCT, SHOP, signUpOf, startDay, type Day, type Person } from './day.test-world.ts'

t.jobs = 2

const ALERT = 'back_in_stock.alert'
const REMINDER = 'back_in_stock.reminder'
const PREORDER = 'preorder.confirmed'
const DELIVERED = ['sent', 'delivered']
const WEST = 'America/Los_Angeles'

const ada = { name: 'Ada Example', phone: '+12015550123', email: 'ada@example.com', id: '600100200' }
const ben = { name: 'Ben Sample', phone: '+12015550124', time_zone: WEST }
const cy = { name: 'Cy Person', phone: '+12015550125' }
const dee = { name: 'Dee Away', phone: '+12015550126' }
const eve = { name: 'Eve Order', phone: '+12015550127', id: '600100300' }
const hal = { name: 'Hal West', phone: '+12015550128', time_zone: WEST }
const ivy = { name: 'Ivy East', phone: '+12015550129' }
const lou = { name: 'Lou West', phone: '+12015550130', time_zone: WEST }
const max = { name: 'Max Late', phone: '+12015550131' }
const PEOPLE: Record<string, Person> = { ada, ben, cy, dee, eve, hal, ivy, lou, max }

const at = (day: number, time: string): string => `2026-12-${String(day).padStart(2, '0')}T${time}:00Z`

t.test('a day in the life: every message and every non-message of a shop has its reason', async t => {
  const day = await startDay(t, at(8, '14:00'))
  await signingUp(t, day)
  await firstRestock(t, day)
  await ordersAndReminders(t, day)
  await stopAndSecondRestock(t, day)
  await privacy(t, day)
  await uninstalled(t, day)
  await readAtTheEnd(t, day)
})

/** Tuesday, 9 o'clock in New York. */
async function signingUp (t: Test, day: Day): Promise<void> {
  const variants = ['8001', '8002'].map(id => ({ id: Number(id), title: 'Medium', price: '49.90', inventory_item_id: Number(id) + 1000, inventory_quantity: 3 }))
  t.match(await day.shopify('products/update', { id: Number(PRODUCT.id), title: PRODUCT.title, vendor: PRODUCT.vendor, handle: 'floral-shirt', status: 'active', published_at: at(1, '00:00'), updated_at: at(8, '13:59'), variants }), { state: 'done', events: [{ type: 'product.updated' }, { type: 'stock.changed' }, { type: 'stock.changed' }] })
  for (const variant of ['8001', '8002']) t.match(await day.stock(variant, 0), { state: 'done', events: [{ type: 'stock.changed', status: 'accepted' }] }, 'sold out')
  t.match(await day.ask('PATCH', '/waitlist/settings', { reminder_after_days: 3 }), { status: 200, body: { reminder_after_days: 3, batches: null } })

  const { body: { token } } = await day.ask('POST', '/waitlist/storefront-token')
  const page = { key: null, body: signUpOf(ada) }
  t.match(await day.app.ask('POST', `/webhooks/waitlist/${SHOP}/signups`, page), { status: 401, body: { error: { code: 'GW_STOREFRONT_TOKEN' } } })
  t.match(await day.app.ask('POST', `/webhooks/waitlist/${SHOP}/signups`, { ...page, headers: { 'x-storefront-token': String(token) } }), { status: 202, body: { status: 'received' } })
  await day.signUp(ben)
  const csv = ['Name,Phone,Country,Product ID,Product title,Product URL,Vendor,Variant ID,Variant URL,Price,Currency,SMS consent,Consent date',
    ...[`${cy.name},${cy.phone}`, `${dee.name},${dee.phone}`].map((who, i) => `${who},US,7001,Floral Shirt,${PRODUCT.url},Initech,8001,${PRODUCT.url}?variant=8001,49.90,USD,${i === 0 ? 'no,' : 'yes,2026-12-08'}`)]
  t.match(await day.app.ask('POST', `/v1/shops/${SHOP}/waitlist/import`, { raw: csv.join('\n'), headers: { 'content-type': 'text/csv' } }), { status: 200, body: { rows: 2, report: [{ row: 2, status: 'joined', code: 'no_consent' }, { row: 3, status: 'joined' }] } })
  t.match(await stateOf(day), { ada: 'waiting', ben: 'waiting', cy: 'waiting no_consent', dee: 'waiting' })
  t.strictSame(await day.texted(), [])
}

/** 10 o'clock in New York, and 7 in Los Angeles. */
async function firstRestock (t: Test, day: Day): Promise<void> {
  day.to(at(8, '15:00'))
  await day.stock('8001', 20)
  const [adas, dees] = [await day.becomes(ada.phone, ALERT, 'delivered'), await day.becomes(dee.phone, ALERT, 'delivered')]
  t.match(await day.becomes(ben.phone, ALERT, 'waiting', 'quiet_hours'), { attempts: 0, sentence: /quiet hour/, detail: /Los_Angeles/, due_at: /^2026-12-08T16:0/ })
  t.strictSame((await day.texted()).map(({ to }) => to).toSorted(), [ada.phone, dee.phone])
  t.match((await day.texted())[0], { text: /^Initech: Floral Shirt - Medium is back! https:\/\/initech\.example\/products\/floral-shirt\?variant=8001 Reply STOP to opt out$/ })
  await until(async () => (await stateOf(day)).dee === 'alerted reminder: ')
  await day.says(adas, DELIVERED)
  await day.says(dees, ['sent', 'undelivered'], '30005')
  t.match(await day.becomes(dee.phone, ALERT, 'rejected'), { reason: 'number_unknown', carrier: { status: 'undelivered', code: '30005' }, sentence: /does not exist/ })
  day.to(at(8, '16:15'))
  await day.says(await day.becomes(ben.phone, ALERT, 'delivered'), DELIVERED)
  await until(async () => (await stateOf(day)).ben === 'alerted reminder: ')
  t.match(await stateOf(day), { ada: 'alerted reminder: ', cy: 'skipped no_consent' })
  const waves = async (): Promise<Body[]> => (await day.ask('GET', '/waitlist/waves')).body.items ?? []
  await until(async () => (await waves())[0]?.state === 'ended')
  t.match(await waves(), [{ started_by: 'restock', reason: 'done', alerted: 3, skipped: 1 }])
}

/** A purchase on Wednesday, a preorder at midnight in New York, and on Friday what the third day brings. */
async function ordersAndReminders (t: Test, day: Day): Promise<void> {
  day.to(at(9, '18:00'))
  t.match(await day.order(1001, ada, { variant_id: 8001 }), { state: 'done', reason: 'no_preorder', events: [{ type: 'order.placed' }] })
  day.to(at(10, '05:00'))
  const preorder = { variant_id: 8009, title: 'Linen Dress', properties: [{ name: 'Purchase Type', value: 'Preorder' }] }
  t.match(await day.order(1002, eve, preorder), { state: 'done', events: [{ type: 'order.placed' }, { type: PREORDER }] })
  await day.says(await day.becomes(eve.phone, PREORDER, 'delivered'), DELIVERED)
  t.match((await day.texted()).at(-1), { to: eve.phone, text: /preorder #1002 is confirmed: Linen Dress/ })
  t.match(await day.order(1003, { name: 'No Number' }, preorder), { state: 'done', reason: 'no_phone' })
  await until(async () => (await deliveries(day)).some(({ reason }) => reason === 'no_phone'))
  day.to(at(11, '16:30'))
  await day.says(await day.becomes(ben.phone, REMINDER, 'delivered'), DELIVERED)
  t.match(await stateOf(day), { ada: 'alerted reminder: dropped bought_since', ben: 'alerted reminder: made', dee: 'alerted reminder: dropped number_unknown' })
}

/** Saturday, again 7 o'clock in Los Angeles. */
async function stopAndSecondRestock (t: Test, day: Day): Promise<void> {
  await day.texts(ben, 'Stop.')
  t.match(await day.ask('GET', `/opt-outs?phone=${encodeURIComponent(ben.phone)}`), { status: 200, body: { opted_out: true } })
  day.to(at(12, '14:00'))
  await day.stock('8001', 0)
  for (const person of [ben, hal, ivy]) t.match((await day.ask('POST', '/waitlist/signups', signUpOf(person))).body, { status: 'joined' })
  day.to(at(12, '15:00'))
  await day.stock('8001', 5)
  await day.becomes(ivy.phone, ALERT, 'delivered') // and of this one the carrier's word is lost
  t.match(await day.becomes(ben.phone, ALERT, 'rejected', 'opted_out'), { attempts: 0, sentence: 'The customer does not want messages any more.' })
  const withdrawn = await day.becomes(hal.phone, ALERT, 'waiting', 'quiet_hours')
  day.to(at(12, '15:20'))
  await day.stock('8001', 0)
  t.match(await day.becomes(hal.phone, ALERT, 'rejected', 'sold_out'), { id: withdrawn.id, attempts: 0 })
  await until(async () => (await stateOf(day)).hal === 'waiting sold_out')
  day.to(at(12, '17:00'))
  await day.stock('8001', 5)
  await day.says(await day.becomes(hal.phone, ALERT, 'delivered'), DELIVERED)
  await until(async () => ((await day.becomes(ivy.phone, ALERT, 'delivered')).carrier as Body | null)?.status === 'delivered') // it was asked for
  t.match(await stateOf(day), { ben: 'skipped opted_out', ivy: 'alerted reminder: ' })
  await until(async () => (await stateOf(day)).hal === 'alerted reminder: ')
}

async function privacy (t: Test, day: Day): Promise<void> {
  t.match(await day.ask('GET', '/usage'), { body: { month: '2026-12', providers: [{ provider: 'stoq-native', messages: 7, segments: 7, under_way: { messages: 0, segments: 0 }, by_country: [{ country: 'US', messages: 7, segments: 7 }] }] } })
  const customer = { id: Number(ada.id), email: ada.email, phone: ada.phone }
  const done = async (kind: string): Promise<Body> => {
    let request: Body | undefined
    await until(async () => {
      request = ((await day.ask('GET', '/privacy/requests')).body.items ?? []).find(one => one.kind === kind && one.state === 'done')
      return request !== undefined
    })
    return (await day.ask('GET', `/privacy/requests/${String(request?.id)}`)).body
  }
  await day.shopify('customers/data_request', { shop_id: 1, shop_domain: SHOP, customer, orders_requested: [5_000_000_001_001], data_request: { id: 9999 } })
  const { document } = await done('data_request')
  for (const word of [ada.name, ada.email, 'Floral Shirt', '#1001', 'is back!']) t.match(JSON.stringify(document), word, `the document has ${word}`)
  t.notMatch(JSON.stringify(document), ben.phone.slice(1))
  day.to(at(14, '15:00'))
  await day.shopify('customers/redact', { shop_id: 1, shop_domain: SHOP, customer, orders_to_redact: [5_000_000_001_001] })
  await done('redaction')
  t.strictSame(await found(day.app, wordsOf(ada)), [], 'nothing of her is in any table')
  const phone = encodeURIComponent(ada.phone)
  for (const path of [`/v1/deliveries?phone=${phone}`, `/v1/shops/${SHOP}/waitlist/signups?phone=${phone}`]) t.match((await day.app.ask('GET', path)).body, { items: [] }, path)
  t.match((await day.app.ask('GET', '/v1/inbox?source=shopify&subject=gid%3A%2F%2Fshopify%2FOrder%2F5000000001001')).body.items, [])
  t.equal((await done('data_request')).document, null, 'what was gathered is gone too')
  t.match(await stateOf(day), { ben: 'skipped opted_out', cy: 'skipped no_consent', hal: 'alerted reminder: ' }, 'of others nothing is')
}

/** Monday: somebody waits for the morning when the app is uninstalled. */
async function uninstalled (t: Test, day: Day): Promise<void> {
  await day.signUp(lou, '8002')
  await day.stock('8002', 5)
  await day.becomes(lou.phone, ALERT, 'waiting', 'quiet_hours')
  t.match(await day.shopify('app/uninstalled', { id: 1, domain: 'initech.example' }), { state: 'done', events: [{ type: 'shop.updated' }] })
  t.match((await day.ask('GET', '')).body, { status: 'uninstalled' })
  await day.order(1004, max, { variant_id: 8009, title: 'Linen Dress', properties: [{ name: 'Purchase Type', value: 'Preorder' }] })
  const before = (await day.texted()).length
  day.to(at(14, '17:00'))
  for (const [{ phone }, type] of [[lou, ALERT], [max, PREORDER]] as const) t.match(await day.becomes(phone, type, 'held', 'shop_uninstalled'), { attempts: 0, sentence: 'The shop has uninstalled the app.' })
  t.equal((await day.texted()).length, before)
}

/** What was sent and what was not, who waits, and what came from outside: nothing is without its reason. */
async function readAtTheEnd (t: Test, day: Day): Promise<void> {
  t.strictSame(await ledger(day), [
    'waitlist.joined - delivered nothing_to_tell', // Ada's: she was erased
    'waitlist.joined ben delivered nothing_to_tell',
    'waitlist.joined cy delivered nothing_to_tell',
    'waitlist.joined dee delivered nothing_to_tell',
    'back_in_stock.alert - delivered, delivered',
    'back_in_stock.alert ben delivered, delivered',
    'back_in_stock.alert dee rejected number_unknown, undelivered',
    'preorder.confirmed eve delivered, delivered',
    'preorder.confirmed - rejected no_phone', // the order without a number
    'back_in_stock.reminder ben delivered, delivered',
    'waitlist.joined ben delivered nothing_to_tell',
    'waitlist.joined hal delivered nothing_to_tell',
    'waitlist.joined ivy delivered nothing_to_tell',
    'back_in_stock.alert ben rejected opted_out',
    'back_in_stock.alert hal rejected sold_out',
    'back_in_stock.alert ivy delivered, delivered',
    'back_in_stock.alert hal delivered, delivered',
    'waitlist.joined lou delivered nothing_to_tell',
    'back_in_stock.alert lou held shop_uninstalled',
    'preorder.confirmed max held shop_uninstalled'
  ])
  t.strictSame(await stateOf(day), {
    lou: 'alerting', ivy: 'alerted reminder: ', hal: 'alerted reminder: ', dee: 'alerted reminder: dropped number_unknown', cy: 'skipped no_consent', ben: 'skipped opted_out'
  })
  t.strictSame((await day.texted()).map(({ to }) => to).toSorted(), [ada, ben, ben, dee, eve, hal, ivy].map(({ phone }) => phone).toSorted(), 'seven texts, and no more')
  const { items = [] } = (await day.app.ask('GET', `/v1/inbox?source=shopify&shop=${SHOP}&limit=200`)).body
  t.strictSame(items.toReversed().map(({ topic, state, reason }) => [topic, state, reason].filter(word => word !== null).join(' ')), [
    'products/update done', 'variants/out_of_stock done', 'variants/out_of_stock done', 'variants/in_stock done',
    'orders/create done redacted', 'orders/create done', 'orders/create done no_phone',
    'variants/out_of_stock done', 'variants/in_stock done', 'variants/out_of_stock done', 'variants/in_stock done',
    'customers/data_request done redacted', 'customers/redact done redacted', 'variants/in_stock done', 'app/uninstalled done', 'orders/create done'
  ])
}

/** Every delivery of the shop, oldest first: what, to whom, its state, its reason, and the carrier's word. */
async function ledger (day: Day): Promise<string[]> {
  const names = new Map<unknown, string>()
  for (const [name, { phone }] of Object.entries(PEOPLE)) for (const { id } of (await day.app.ask('GET', `/v1/deliveries?phone=${encodeURIComponent(phone)}`)).body.items ?? []) names.set(id, name)
  return (await deliveries(day)).toReversed().map(({ id, event, state, reason, carrier }) => {
    const said = carrier === null ? '' : `, ${String((carrier as Body).status)}`
    return [(event as Body).type, names.get(id) ?? '-', state, ...(reason === null ? [] : [reason])].map(String).join(' ') + said
  })
}

async function deliveries (day: Day): Promise<Body[]> {
  return (await day.app.ask('GET', `/v1/deliveries?shop=${SHOP}&limit=100`)).body.items ?? []
}

/** Who waits, and what became of them and of their reminders; who signed up last first. */
async function stateOf (day: Day): Promise<Record<string, string>> {
  const { items = [] } = (await day.ask('GET', '/waitlist/signups?limit=100')).body
  return Object.fromEntries(items.map(({ customer, state, reason, reminder }) => {
    const name = Object.keys(PEOPLE).find(one => PEOPLE[one]?.phone === (customer as Body).phone) ?? '?'
    const reminded = reminder as Body | null
    return [name, [state, reason, ...(reminded === null ? [] : [`reminder: ${String(reminded.state ?? '')}`, reminded.reason])].filter(word => word !== null).join(' ')]
  }))
}

const LISTED = 'demo-postscript.myshopify.com'
const POSTSCRIPT = '/providers/postscript'
const isThere = existsSync(join(ROOT, 'plugins/postscript'))
if (!isThere) t.comment('plugins/postscript is not here: the opt-in of a provider with a list is not tried')

t.test('a customer of a shop whose provider has a list signs up, opts in, and only then has the alert of the restock', { skip: !isThere && 'plugins/postscript is not here' }, async t => {
  const day = await startDay(t, at(8, '14:00'), { publicUrl: false })
  const standing = async (): Promise<unknown> => (await day.ask('GET', `${POSTSCRIPT}/subscribers?phone=${encodeURIComponent(ben.phone)}`, undefined, LISTED)).body.items?.[0]?.state
  const { body } = await day.ask('POST', `${POSTSCRIPT}/setup/keyword/refresh`, {}, LISTED)
  const [keyword] = (body.steps as Array<{ id: string, items: Array<{ options?: Body[] }> }>).find(({ id }) => id === 'keyword')?.items[0]?.options ?? []
  t.match(await day.ask('POST', `${POSTSCRIPT}/setup/keyword/select`, { value: keyword?.value }, LISTED), { status: 200 })
  await day.stock('8001', 0, LISTED)
  await day.signUp(ben, '8001', LISTED)
  await day.becomes(ben.phone, 'waitlist.joined', 'delivered', null)
  t.equal(await standing(), 'pending', 'asked to opt in')
  await day.stock('8001', 5, LISTED)
  t.match(await day.becomes(ben.phone, ALERT, 'waiting', 'opt_in_pending'), { attempts: 0 })
  await request(`${day.app.sandboxUrl}/postscript/_sandbox/opt_ins`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ phone_number: ben.phone }) })
  await day.becomes(ben.phone, ALERT, 'delivered', null)
  t.equal(await standing(), 'subscribed')
})
