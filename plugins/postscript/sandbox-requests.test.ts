// The requests of connecting and of sign-ups: against the description of Postscript's API, and against the sandbox.
// The description is not part of the project: where it does not lie beside it, this says so and skips.

import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Ajv2020 } from 'ajv/dist/2020.js'
import t, { type Test } from 'tap'
import type { PreparedRequest } from '../../gateway/contract.ts'
import { startSandbox } from '../../gateway/providers/sandbox.ts'
import { mutate, seeded } from '../../test/helpers/mutate.ts'
import { entry, loadOne, ROOT } from '../../test/helpers/providers.ts'

const MUTATIONS = 200
const SEED = 20261122
const DESCRIPTION = join(ROOT, '../shared/reference/postscript.schema.json')
const SECRETS = { shop_key: 'sk_requests_0123456789' }

type Data = Record<string, unknown>
interface Endpoint { method: string, path: string, responses: Record<string, string> }
interface Description { $id: string, $defs: Record<string, object> & { endpointIndex: { const: { endpoints: Endpoint[] } } } }

const postscript = await loadOne(entry('postscript', import.meta.dirname))

/** One of the manifest's requests, with what its templates read. */
function request (name: string, map: Data = {}): PreparedRequest {
  const prepared = postscript.request(name, { connection: { account_id: 'shop_1234567abcde', settings: postscript.settingsDefaults }, map })
  if (!prepared.ok) throw new Error(prepared.detail)
  return prepared.request
}

const bodyOf = ({ body }: PreparedRequest): Data => JSON.parse(body as string) as Data

/** The sandbox, asked with a request, or with another body than it has. No window ever fills. */
async function played (t: Test): Promise<(asked: PreparedRequest, body?: unknown) => Promise<{ status: number, body: Data }>> {
  let minutes = 0
  const { url, close } = await startSandbox({ providers: [postscript], port: 0, now: () => { minutes += 60_001; return minutes } })
  t.teardown(close)
  return async ({ method, path, headers, body }, other) => {
    const text = other === undefined ? body : JSON.stringify(other)
    const answer = await fetch(`${url}/postscript${path}`, { method, headers: { ...headers, ...postscript.authorize('shop_key', SECRETS) }, ...(text !== null && { body: text }) })
    return { status: answer.status, body: await answer.json() as Data }
  }
}

const PERSON = { phone_number: '+12015550188', keyword_id: 'kw_31afjew824892ks' }
const FULL = { ...PERSON, email: 'ada@example.com', shopify_customer_id: 6789012345, tags: ['back-in-stock'] }
const WEBHOOK = { callback_url: 'https://gateway.example/webhooks/postscript', event: 'shop.subscriber.opt_in' }

if (existsSync(DESCRIPTION)) contract(JSON.parse(readFileSync(DESCRIPTION, 'utf8')) as Description)
else {
  t.comment(`${DESCRIPTION} is not here: the description of Postscript's API is not compared`)
  t.test('the description of Postscript\'s API', { skip: 'its file is not here' }, () => {})
}

function contract (description: Description): void {
  const ajv = new Ajv2020({ strict: false, logger: false })
  ajv.addSchema(description)
  const fits = (name: string) => ajv.compile<unknown>({ $ref: `${description.$id}#/$defs/${name}` })
  const { endpoints } = description.$defs.endpointIndex.const
  const bodies = { create_subscriber: 'createSubscriberRequest', subscribe_webhook: 'webhookCreateRequest' } as const

  t.test('the bodies of a sign-up and of a subscription fit the description', async t => {
    const person = fits('gatewayCreateSubscriberRequest')
    for (const map of [PERSON, FULL, { ...PERSON, email: '', tags: null }]) t.ok(person(bodyOf(request('create_subscriber', map))), JSON.stringify(person.errors))
    const webhook = fits('webhookCreateRequest')
    for (const map of [WEBHOOK, { ...WEBHOOK, headers: { 'x-gateway-shop': 'acme' } }]) t.ok(webhook(bodyOf(request('subscribe_webhook', map))), JSON.stringify(webhook.errors))
    const query = Object.fromEntries(new URL(request('find_subscriber', { phone_digits: '12015550188' }).path, 'https://api.postscript.io').searchParams)
    t.strictSame(query, { phone_number__eq: '12015550188' })
    t.ok(fits('subscriberListQuery')(query))
  })

  for (const [name, definition] of Object.entries(bodies)) {
    t.test(`of ${MUTATIONS} mutations of ${name} (seed ${SEED}) the sandbox refuses every one that the description refuses`, async t => {
      const random = seeded(SEED)
      const send = await played(t)
      const fit = fits(definition)
      const whole = request(name, name === 'create_subscriber' ? FULL : { ...WEBHOOK, headers: { 'x-gateway-shop': 'acme' } })
      let refused = 0
      for (let i = 0; i < MUTATIONS; i++) {
        const mutation = mutate(bodyOf(whole), random)
        if (fit(mutation.value)) continue
        refused++
        t.equal((await send(whole, mutation.value)).status, 400, mutation.what)
      }
      t.ok(refused > 50, `the description refused ${refused}`)
    })
  }

  t.test('each request is an endpoint of the description, and is answered as that says', async t => {
    const send = await played(t)
    const documented = async (asked: PreparedRequest, path: string, definition: string): Promise<Data> => {
      const endpoint = endpoints.find(one => one.method === asked.method && one.path === path)
      t.ok(endpoint, `${asked.method} ${path}`)
      const answer = await send(asked)
      t.equal(endpoint?.responses[answer.status] ?? endpoint?.responses['2XX'], definition, `${asked.name} is answered ${answer.status}`)
      const fit = fits(definition)
      t.ok(fit(answer.body), `${asked.name}: ${JSON.stringify(fit.errors)}`)
      return answer.body
    }
    const { keywords } = await documented(request('keywords'), '/api/v2/keywords', 'keywordList') as { keywords: Array<{ id: string }> }
    const map = { ...FULL, keyword_id: keywords[0]?.id }
    await documented(request('keyword', map), '/api/v2/keywords/{id}', 'keyword')
    await documented(request('keyword', { keyword_id: 'kw_0' }), '/api/v2/keywords/{id}', 'keywordNotFoundError')
    await documented(request('create_subscriber', map), '/api/v2/subscribers', 'createSubscriberResponse')
    await documented(request('create_subscriber', map), '/api/v2/subscribers', 'entityConflictError')
    await documented(request('find_subscriber', { phone_digits: '12015550188' }), '/api/v2/subscribers', 'subscriberList')
    const { id } = await documented(request('subscribe_webhook', WEBHOOK), '/api/v2/webhooks', 'webhookSubscription')
    await documented(request('list_webhooks'), '/api/v2/webhooks', 'webhookSubscriptionList')
    await documented(request('webhook_token'), '/api/v2/webhooks/token', 'webhookToken')
    await documented(request('delete_webhook', { webhook_id: id }), '/api/v2/webhooks/{id}', 'emptyObject')
  })

  t.test('examples of deliveries are those of the description', async t => {
    const send = await played(t)
    const example = async (event: string): Promise<Data> => (await send({ ...request('list_webhooks'), path: `/api/v2/webhooks/example?event=${event}` })).body
    for (const event of ['shop.test', 'shop.shop.email_collected']) t.ok(fits('webhookDelivery')(await example(event)), event)
    for (const event of ['shop.subscriber.opt_in', 'shop.subscriber.opt_out']) t.ok(fits('optChangeDelivery')(await example(event)), event)
    t.ok(fits('incomingMessageDelivery')(await example('shop.incoming_message')))
  })
}

t.test('what a sign-up does not have is left out, and nothing else goes along', async t => {
  t.strictSame(bodyOf(request('create_subscriber', PERSON)), { ...PERSON, origin: 'website' })
  t.strictSame(bodyOf(request('create_subscriber', FULL)), { phone_number: PERSON.phone_number, keyword_id: PERSON.keyword_id, origin: 'website', email: FULL.email, shopify_customer_id: 6789012345, tags: ['back-in-stock'] })
  t.strictSame(bodyOf(request('subscribe_webhook', WEBHOOK)), WEBHOOK)
})

t.test('a value cannot leave its place in an address', async t => {
  t.equal(request('keyword', { keyword_id: 'kw_1/../../me?x=1' }).path, '/api/v2/keywords/kw_1%2F..%2F..%2Fme%3Fx%3D1')
  t.equal(request('find_subscriber', { phone_digits: '1&email__eq=a' }).path, '/api/v2/subscribers?phone_number__eq=1%26email__eq%3Da')
  for (const [name, map] of [['keyword', {}], ['delete_webhook', { webhook_id: '..' }]] as const) t.throws(() => request(name, map), name)
})

t.test('all requests share the one group that Postscript counts', async t => {
  for (const { name, group } of postscript.standIn?.requests ?? []) t.equal(group, 'api', name)
  for (const name of ['subscribe_webhook', 'list_webhooks', 'webhook_token', 'delete_webhook', 'find_subscriber', 'create_subscriber', 'keyword']) t.ok(postscript.standIn?.requests.some(one => one.name === name), name)
})
