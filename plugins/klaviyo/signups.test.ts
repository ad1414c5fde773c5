// C11: a customer who signs up and agrees is recorded at Klaviyo as subscribed to SMS, and nobody who opted out is.

import t, { type Test } from 'tap'
import { request } from 'undici'
import { anEvent, CONFIG, makeApp, movable, until, type App, type Body } from '../../test/helpers/app.ts'
import { shortId } from './sandbox-answers.ts'

const SHOP = 'acme.example'
const CONNECTION = `/v1/shops/${SHOP}/providers/klaviyo`
const JOBS = '/api/profile-subscription-bulk-create-jobs'
const PROFILES = '/api/profiles'
const ADA = '+12015550123'

interface World {
  app: App
  advance (ms: number): void
  signUp (id: string, consent?: object): Promise<void>
  /** Until the delivery of an event stands so. */
  becomes (id: string, state: string, reason: string | null): Promise<Body>
  /** What happens at Klaviyo itself. */
  order (what: string, body: object): Promise<void>
  /** What Ada's profile says of SMS marketing. */
  consent (): Promise<{ consent: string, undone: number } | undefined>
  /** How often this was asked. */
  asked (path: string): Promise<number>
}

let worlds = 0

async function started (t: Test): Promise<World> {
  const { runtime, advance } = movable()
  const key = `pk_signups_0123456789_${++worlds}`
  const account = shortId(key)
  const app = makeApp(t, { runtime, config: CONFIG.replace('providers:\n', `providers:\n  klaviyo: { path: ${import.meta.dirname} }\n`) })
  await app.start()
  await app.ask('PUT', `${CONNECTION}/connection`, { body: { secrets: { api_key: key }, ready: ['back_in_stock', 'preorder'] } })
  await app.ask('PUT', `/v1/shops/${SHOP}/channels/sms`, { body: { provider: 'klaviyo' } })
  const order = async (what: string, body: object): Promise<void> => {
    const answer = await request(`${app.sandboxUrl}/klaviyo/_sandbox/${what}`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ ...(what !== 'listing_delay' && { account }), ...body }) })
    await answer.body.dump()
    if (answer.statusCode !== 200) throw new Error(`${what} answered ${answer.statusCode}`)
  }
  await order('listing_delay', { ms: 0 })
  return {
    app, advance, order,
    async signUp (id, consent = { sms: true }) {
      const { data, ...plain } = anEvent(id)
      const answer = await app.post({ ...plain, type: 'waitlist.joined', data: { ...data, consent } })
      if (answer.status !== 202) throw new Error(JSON.stringify(answer.body))
    },
    async becomes (id, state, reason) {
      let last: Body = {}
      await until(async () => {
        last = await app.delivery(id)
        return last['state'] === state && last['reason'] === reason
      })
      return last
    },
    async consent () {
      const { body } = await request(`${app.sandboxUrl}/klaviyo/_sandbox/profiles?account=${account}`)
      return ((await body.json()) as { items: Array<{ attributes: Body, marketing: { consent: string, undone: number } }> }).items.find(({ attributes }) => attributes['phone_number'] === ADA)?.marketing
    },
    asked: async path => (await app.received('klaviyo')).filter(one => one['path'] === path).length
  }
}

t.test('C11: a sign-up with consent is recorded once, after a look at the person', async t => {
  const { signUp, becomes, consent, asked } = await started(t)
  await signUp('sign-1')
  t.match(await becomes('sign-1', 'delivered', null), { attempts: 1, calls: [{ request: { method: 'POST', path: JOBS }, status: 202 }] })
  t.match(await consent(), { consent: 'SUBSCRIBED', undone: 0 })
  await signUp('sign-2')
  await becomes('sign-2', 'delivered', 'already_on_list')
  t.strictSame([await asked(PROFILES), await asked(JOBS)], [1, 1])
})

t.test('C11: a profile that does not say how it stands is asked for again, and nothing is recorded over it', async t => {
  const { app, advance, signUp, becomes, asked } = await started(t)
  await app.fault('klaviyo', { kind: 'status', status: 200, body: { data: [{ type: 'profile', id: '01ABC', attributes: { phone_number: ADA } }] }, match: { path: PROFILES } })
  await signUp('sign-1')
  await becomes('sign-1', 'waiting', 'looking_up')
  await until(async () => {
    advance(60_000)
    return (await app.query("select 1 from calls where request_head = 'GET /api/profiles' and outcome is not null")).length >= 2
  })
  t.equal(await asked(JOBS), 0)
  t.ok(await app.heal('klaviyo') >= 2)
  await until(async () => {
    advance(5 * 60_000)
    return (await app.delivery('sign-1'))['state'] === 'delivered'
  })
  t.equal(await asked(JOBS), 1)
})

t.test('a look at a person that is refused keeps no message back: none waits for it', async t => {
  const { app, signUp } = await started(t)
  await app.fault('klaviyo', { kind: 'status', status: 403, body: { errors: [{ detail: 'no' }] }, headers: { 'content-type': 'application/vnd.api+json' }, match: { path: PROFILES } })
  await signUp('sign-1')
  await until(async () => (await app.query("select 1 from calls where request_head = 'GET /api/profiles' and outcome is not null")).length >= 1)
  await app.delivered(await app.post(anEvent('alert-1')))
  t.ok(await app.heal('klaviyo') >= 1)
})

t.test('C11: without consent nothing is asked and nothing recorded', async t => {
  const { signUp, becomes, consent, asked } = await started(t)
  await signUp('sign-1', { sms: false })
  await becomes('sign-1', 'delivered', 'nothing_to_tell')
  t.strictSame([await consent(), await asked(PROFILES), await asked(JOBS)], [undefined, 0, 0])
})

t.test('C11: who opted out at Klaviyo is never subscribed again, and a message goes the usual way', async t => {
  const { app, order, signUp, becomes, consent, asked } = await started(t)
  await order('profiles', { phone: ADA, marketing: 'UNSUBSCRIBED' })
  await signUp('sign-1')
  await becomes('sign-1', 'rejected', 'opted_out')
  await app.delivered(await app.post(anEvent('alert-1')))
  t.match(await consent(), { consent: 'UNSUBSCRIBED', undone: 0 })
  t.equal(await asked(JOBS), 0)
  t.equal(await asked(PROFILES), 1, 'no message asks about a person')
  const { causes } = (await app.ask('GET', `/v1/shops/${SHOP}/diagnosis?person=${encodeURIComponent(ADA)}`)).body as { causes: Body[] }
  t.match(causes.filter(({ code }) => code === 'no_sms_consent'), [{ certain: true, sentence: /^The customer wants no SMS, as Klaviyo said/, where: { subject: 'back_in_stock.alert' } }])
  t.match(await app.delivery('alert-1'), { state: 'delivered', reason: 'no_sms_consent', sentence: 'Klaviyo accepted the message, but the customer has given no SMS consent there, so no text goes out.' })
  t.equal(await asked(PROFILES), 1, 'nor does a diagnosis or a look at the delivery')
})

t.test('C11: who is subscribed already is left alone; who has only a profile, or agreed to order updates, is not', async t => {
  for (const [said, jobs, reason] of [[{ marketing: 'SUBSCRIBED' }, 0, 'already_on_list'], [{}, 1, null], [{ transactional: 'SUBSCRIBED' }, 1, null]] as const) {
    const { order, signUp, becomes, consent, asked } = await started(t)
    await order('profiles', { phone: ADA, ...said })
    await signUp('sign-1')
    await becomes('sign-1', 'delivered', reason)
    t.match(await consent(), { consent: 'SUBSCRIBED' })
    t.equal(await asked(JOBS), jobs, JSON.stringify(said))
  }
})

t.test('C11: with double opt-in a person is asked back once, however often they sign up', async t => {
  const { app, order, signUp, becomes, consent, asked } = await started(t)
  await order('double_opt_in', { on: true })
  await signUp('sign-1')
  await becomes('sign-1', 'delivered', null)
  await app.delivered(await app.post(anEvent('alert-1')))
  t.match(await app.delivery('alert-1'), { state: 'delivered', reason: null }, 'what is not known is not said')
  t.match(await consent(), { consent: 'NEVER_SUBSCRIBED' })
  await signUp('sign-2')
  await becomes('sign-2', 'delivered', 'already_on_list')
  t.equal(await asked(JOBS), 1)
  await order('opt_ins', { phone: ADA })
  t.match(await consent(), { consent: 'SUBSCRIBED' })
})

t.test('R2, C11: an answer that is lost is asked about, not repeated over what the person said meanwhile', async t => {
  const { app, advance, order, signUp, becomes, consent, asked } = await started(t)
  await app.fault('klaviyo', { kind: 'cut_after', times: 1, match: { path: JOBS } })
  await signUp('sign-1')
  await becomes('sign-1', 'unknown', 'no_answer')
  await order('profiles', { phone: ADA, marketing: 'UNSUBSCRIBED' })
  advance(120_000)
  await becomes('sign-1', 'delivered', 'already_on_list')
  t.match(await consent(), { consent: 'UNSUBSCRIBED', undone: 0 })
  t.equal(await asked(JOBS), 1)
})

t.test('a connection that may not record consent says so at the sign-up, and keeps no message back', async t => {
  const { app, signUp, becomes, asked } = await started(t)
  await app.fault('klaviyo', { kind: 'status', status: 403, headers: { 'content-type': 'application/vnd.api+json' }, body: { errors: [{ detail: 'lacks subscriptions:write' }] }, match: { path: JOBS } })
  await signUp('sign-1')
  t.match(await becomes('sign-1', 'waiting', 'scope_missing'), { detail: 'lacks subscriptions:write' })
  await app.delivered(await app.post(anEvent('alert-1')))
  t.equal(await asked('/api/events'), 1)
})

t.test('a phone of a region without a sending number is refused for good', async t => {
  const { order, signUp, becomes } = await started(t)
  await order('regions', { prefixes: ['+44'] })
  await signUp('sign-1')
  t.match(await becomes('sign-1', 'rejected', 'phone_refused'), { detail: /no sending number/ })
})
