// Profiles and consent (C11): what we send of a person, against Klaviyo's own description and our sandbox. The description is
// not part of the project: where it does not lie beside it, this says so and skips.

import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Ajv } from 'ajv'
import type { ValidateFunction } from 'ajv'
import ajvFormats from 'ajv-formats'
import t, { type Test } from 'tap'
import { caseScope, runCases } from '../../gateway/providers/cases.ts'
import { shortId } from './sandbox-answers.ts'
import { subscribeFault } from './sandbox-subscribe-body.ts'
import { mutate, seeded } from '../../test/helpers/mutate.ts'
import { entry, EVENT_TYPES, files, loadOne, ROOT } from '../../test/helpers/providers.ts'
import { sandboxClient, type SandboxClient } from '../../test/helpers/sandbox-client.ts'

const MUTATIONS = 300
const SEED = 20261122
const NOW = Date.parse('2026-11-22T12:00:00Z')
const PHONE = '+12015550123'
const KEY = 'pk_contract_0123456789'
const ACCOUNT = shortId(KEY)
const HEADERS = { authorization: `Klaviyo-API-Key ${KEY}`, revision: '2026-07-15', accept: 'application/vnd.api+json', 'content-type': 'application/vnd.api+json' }
const DESCRIPTION = join(ROOT, '../shared/reference/klaviyo.openapi.json')

interface Parameter { name: string, in: string, description?: string, schema: { enum?: string[], items?: { enum?: string[] } } }
interface Description { paths: Record<string, Record<string, { parameters: Parameter[] }>> }
interface Made { method: string, path: string, body: unknown }
interface Profile { id: string, attributes: Record<string, unknown> & { subscriptions?: { sms: { marketing: { consent: string, can_receive_sms_marketing: boolean } } } } }

const klaviyo = await loadOne(entry('klaviyo', import.meta.dirname))

function made (name: string, map: object): Made {
  const prepared = klaviyo.request(name, { connection: { account_id: 'ABC123', settings: {} }, map })
  if (!prepared.ok) throw new Error(prepared.detail)
  const { method, path, body } = prepared.request
  return { method, path, body: body === null ? null : JSON.parse(body) as unknown }
}

/** As the first example of a sign-up makes it. */
function subscription (phone = PHONE): Made {
  const data = structuredClone((EVENT_TYPES['waitlist.joined'] as { examples: Array<{ customer: { phone: string } }> }).examples[0] as { customer: { phone: string } })
  data.customer.phone = phone
  const prepared = klaviyo.prepare('waitlist.joined', caseScope({ type: 'waitlist.joined', data }))
  if (!prepared.ok) throw new Error(prepared.detail)
  const { method, path, body } = prepared.request
  return { method, path, body: JSON.parse(String(body)) as unknown }
}

/** Profiles in the events that the cases make. */
const profiles = runCases(klaviyo, files()).results.filter(({ case: { type } }) => klaviyo.events[type]?.request === 'create_event').flatMap(({ case: { name, type }, scope }) => {
  const prepared = klaviyo.prepare(type, scope)
  if (!prepared.ok) return []
  const { data: { attributes } } = JSON.parse(String(prepared.request.body)) as { data: { attributes: { profile: { data: { attributes: Record<string, unknown> } } } } }
  return [{ name, customer: scope.data['customer'] as { name: string, phone: string, country: string }, profile: attributes.profile.data.attributes }]
})

if (existsSync(DESCRIPTION)) contract(JSON.parse(readFileSync(DESCRIPTION, 'utf8')) as Description)
else {
  t.comment(`${DESCRIPTION} is not here: Klaviyo's own description is not compared`)
  t.test('Klaviyo\'s own description', { skip: 'its file is not here' }, () => {})
}

function contract (description: Description): void {
  const ajv = new Ajv({ strict: false, allErrors: false, logger: false })
  ajvFormats.default(ajv)
  ajv.addSchema(description, 'klaviyo')
  const schema = (name: string): ValidateFunction => ajv.compile({ $ref: `klaviyo#/components/schemas/${name}` })

  t.test('C11: both requests about a person fit Klaviyo\'s description: path, parameters, filter and body', async t => {
    const { method, path } = made('find_profile', { phone: PHONE })
    const [bare = '', query = ''] = path.split('?')
    const parameters = description.paths[bare]?.[method.toLowerCase()]?.parameters ?? []
    for (const [name, value] of new URLSearchParams(query)) {
      const known = parameters.find(one => one.name === name && one.in === 'query')
      t.ok(known, name)
      const values = known?.schema.enum ?? known?.schema.items?.enum
      if (values !== undefined) t.ok(values.includes(value), `${name}=${value}`)
      if (name === 'filter') t.match(known?.description, /`phone_number`:[^<]*`equals`/)
    }
    const job = subscription()
    t.ok(description.paths[job.path]?.[job.method.toLowerCase()])
    const fits = schema('SubscriptionCreateJobCreateQuery')
    t.ok(fits(job.body), JSON.stringify(fits.errors))
  })

  t.test(`of ${MUTATIONS} mutations of the subscription (seed ${SEED}) the sandbox refuses every one that Klaviyo's description refuses`, async t => {
    const fits = schema('SubscriptionCreateJobCreateQuery')
    const random = seeded(SEED)
    const { body } = subscription()
    t.equal(subscribeFault(body, NOW, () => true), null)
    let refused = 0
    for (let i = 0; i < MUTATIONS; i++) {
      const mutation = mutate(body as object, random)
      if (fits(mutation.value)) continue
      refused++
      t.not(subscribeFault(mutation.value, NOW, () => true), null, mutation.what)
    }
    t.ok(refused > 50, `the description refused ${refused}`)
  })

  t.test('what the sandbox tells of a profile is what Klaviyo\'s description says of one', async t => {
    const { send, order } = await api(t)
    await order('profiles', { account: ACCOUNT, phone: PHONE, marketing: 'UNSUBSCRIBED' })
    const { json } = await send('GET', made('find_profile', { phone: PHONE }).path)
    const fits = schema('GetProfileResponsePluralConversationsCollectionCompoundDocument')
    t.ok(fits(json), JSON.stringify(fits.errors))
    const subscriptions = schema('Subscriptions')
    t.ok(subscriptions((json as { data: Profile[] }).data[0]?.attributes.subscriptions), JSON.stringify(subscriptions.errors))
  })
}

t.test('C11: each event carries the person it is for: phone in E.164, the name in two, the country by its name', async t => {
  t.ok(new Set(profiles.map(({ name }) => name)).size >= 8)
  for (const { name, customer, profile } of profiles) {
    const words = customer.name.trim().split(/\s+/).filter(Boolean)
    const country = new Intl.DisplayNames(['en'], { type: 'region', fallback: 'none' }).of(customer.country)
    t.strictSame(profile, {
      phone_number: customer.phone,
      ...(words.length > 0 && { first_name: words[0] }),
      ...(words.length > 1 && { last_name: words.slice(1).join(' ') }),
      ...(country !== undefined && { location: { country } })
    }, name)
    t.match(profile['phone_number'], /^\+[1-9]\d{6,14}$/, name)
  }
})

t.test('C11: an event makes the profile, and a later one changes what it says and nothing else', async t => {
  const { send, person } = await api(t)
  const event = (id: string, profile: object) => send('POST', '/api/events', { value: { data: { type: 'event', attributes: { unique_id: id, properties: {}, metric: { data: { type: 'metric', attributes: { name: 'M' } } }, profile: { data: { type: 'profile', attributes: { phone_number: PHONE, ...profile } } } } } } })
  await event('1', { first_name: 'Ada', last_name: 'Example', location: { country: 'United States' } })
  await event('2', { location: { country: 'Canada' } })
  t.match(await person(), { attributes: { phone_number: PHONE, first_name: 'Ada', last_name: 'Example', location: { country: 'Canada' }, subscriptions: { sms: { marketing: { consent: 'NEVER_SUBSCRIBED', can_receive_sms_marketing: false } } } } }, 'an event is no consent')
})

t.test('C11: consent is recorded as marketing consent by SMS, from now on; the account decides how a person is asked back', async t => {
  t.strictSame(subscription().body, {
    data: { type: 'profile-subscription-bulk-create-job', attributes: { custom_source: 'Back in stock sign-up', profiles: { data: [{ type: 'profile', attributes: { phone_number: PHONE, subscriptions: { sms: { marketing: { consent: 'SUBSCRIBED' } } } } }] } } }
  })
  const { subscribe, order, consent } = await api(t)
  t.equal(await subscribe(), 202)
  t.equal(await consent(), 'SUBSCRIBED')
  await order('double_opt_in', { account: ACCOUNT, on: true })
  t.equal(await subscribe('+12015550124'), 202)
  t.equal(await consent('+12015550124'), 'NEVER_SUBSCRIBED', 'not asked back yet')
  t.equal((await order('opt_ins', { account: ACCOUNT, phone: '+12015550124' })).status, 200)
  t.equal(await consent('+12015550124'), 'SUBSCRIBED')
  t.equal((await order('opt_ins', { account: ACCOUNT, phone: '+12015550125' })).status, 404)
})

t.test('C11: the call overrules an opt-out, at Klaviyo as here: whoever makes it must look first', async t => {
  const { subscribe, order, consent, inspect } = await api(t)
  await order('profiles', { account: ACCOUNT, phone: PHONE, marketing: 'UNSUBSCRIBED' })
  t.equal(await consent(), 'UNSUBSCRIBED')
  await subscribe()
  t.equal(await consent(), 'SUBSCRIBED')
  t.match(await inspect(`profiles?account=${ACCOUNT}`), { items: [{ marketing: { consent: 'SUBSCRIBED', awaited: false, undone: 1 } }] })
})

t.test('a region without a sending number is the phone\'s fault, and rights that are missing are the connection\'s', async t => {
  const { send, order } = await api(t)
  await order('regions', { account: ACCOUNT, prefixes: ['+44'] })
  const value = subscription().body
  const refused = await send('POST', subscription().path, { value })
  t.equal(refused.status, 400)
  t.match(judged(refused), { is: 'rejected', reason: 'phone_refused', detail: /no sending number/ })
  const other = await send('POST', subscription().path, { body: '{}' })
  t.match(judged(other), { is: 'rejected', reason: 'payload_refused' })
  const lacking = await send('POST', subscription().path, { value, headers: { authorization: 'Klaviyo-API-Key pk_noscope_0123456789' } })
  t.match(judged(lacking), { is: 'hold', reason: 'scope_missing', detail: /lists:write, profiles:write, subscriptions:write/ })
})

t.test('what the sandbox refuses of a subscription, from the documented rules', async t => {
  const body = (attributes: object, more: object = {}) => ({ data: { type: 'profile-subscription-bulk-create-job', attributes: { ...more, profiles: { data: [{ type: 'profile', attributes }] } } } })
  const sms = (consent: object) => ({ phone_number: PHONE, subscriptions: { sms: { marketing: { consent: 'SUBSCRIBED', ...consent } } } })
  const past = { consented_at: '2026-11-21T12:00:00Z' }
  const table: Array<[string, unknown, RegExp | null]> = [
    ['an earlier consent, imported', body(sms(past), { historical_import: true }), null],
    ['an earlier consent that is no import', body(sms(past)), /consented_at$/],
    ['an import without the time', body(sms({}), { historical_import: true }), /consented_at$/],
    ['an import from the future', body(sms({ consented_at: '2026-11-23T12:00:00Z' }), { historical_import: true }), /consented_at$/],
    ['SMS without a phone', body({ email: 'ada@example.com', subscriptions: { sms: { marketing: { consent: 'SUBSCRIBED' } } } }), /phone_number$/],
    ['nothing to subscribe to', body({ phone_number: PHONE, subscriptions: {} }), /subscriptions$/],
    ['another word than SUBSCRIBED', body({ phone_number: PHONE, subscriptions: { sms: { marketing: { consent: 'UNSUBSCRIBED' } } } }), /consent$/]
  ]
  for (const [name, value, pointer] of table) {
    const fault = subscribeFault(value, NOW, () => true)
    if (pointer === null) t.equal(fault, null, name)
    else t.match(fault?.pointer, pointer, name)
  }
})

t.test('a person is found by the phone alone, whatever stands in it', async t => {
  for (const phone of [PHONE, '"),equals(email,"a', '\\"']) {
    const { path } = made('find_profile', { phone })
    t.equal(new URLSearchParams(path.split('?')[1]).get('filter'), `equals(phone_number,${JSON.stringify(phone)})`)
  }
  const { order, person } = await api(t)
  await order('profiles', { account: ACCOUNT, phone: '+12015550124' })
  t.equal(await person(), undefined)
  t.match(await person('+12015550124'), { id: /^01[0-9A-F]{24}$/ })
})

function judged ({ status, headers, text }: { status: number, headers: Record<string, string>, text: string }) {
  return klaviyo.judge({ kind: 'answer', status, headers, body: text, cut: false })
}

/** The sandbox, where what was asked for is processed at once. */
async function api (t: Test): Promise<SandboxClient & { subscribe (phone?: string): Promise<number>, person (phone?: string): Promise<Profile | undefined>, consent (phone?: string): Promise<string | undefined> }> {
  const client = await sandboxClient(klaviyo, HEADERS, { wallNow: () => NOW })
  t.teardown(client.close)
  await client.order('listing_delay', { ms: 0 })
  const person = async (phone = PHONE): Promise<Profile | undefined> => ((await client.send('GET', made('find_profile', { phone }).path)).json as { data: Profile[] }).data[0]
  return {
    ...client,
    person,
    subscribe: async phone => (await client.send('POST', subscription(phone).path, { value: subscription(phone).body })).status,
    consent: async phone => (await person(phone))?.attributes.subscriptions?.sms.marketing.consent
  }
}
