// A gateway with the waiting list, people who wait, and what the provider's sandbox was told.

import { createHash } from 'node:crypto'
import type { Test } from 'tap'
import { CONFIG, makeApp, ROOT, until, type App, type AppOptions, type Answered, type Body } from '../../test/helpers/app.ts'
import { storeKind } from '../../test/helpers/stores.ts'

export const SHOP = 'acme.example'
export const API = `/v1/shops/${SHOP}/waitlist`
const RECORDED = ['stock.changed', 'product.updated', 'order.placed'].map(type => `  ${type}: { schema: ${ROOT}/schemas/events/${type}.schema.json${type === 'order.placed' ? ', person: /customer/phone' : ''} }\n`).join('')

export const WAITLIST = `${CONFIG.replace('pro: [external_sms]', 'pro: [external_sms, batches]').replace('event_types:\n', `event_types:\n${RECORDED}`)}sources:\n  waitlist: { path: ${import.meta.dirname} }\n`

export async function startWaitlist (t: Test, options: AppOptions = {}): Promise<App> {
  const app = makeApp(t, { config: WAITLIST, ...options })
  await app.start()
  return app
}

export interface SignUp { id: string, n: number, variant?: string, product?: string, consent?: number, joinedAt?: number, phone?: string, customer?: string }

/** What a sign-up says; the customer's name carries its number to the provider. */
export function signUpData ({ n, variant = '8001', product = '7001', phone = '+12015550123', customer }: Omit<SignUp, 'id'>): Body {
  return {
    customer: { name: `Customer ${n}`, phone, country: 'US', id: customer ?? `c${n}` },
    product: { id: product, title: 'Floral Shirt', vendor: 'Acme', url: 'https://acme.example/products/floral-shirt' },
    variant: { id: variant, title: 'Medium', price: { amount: '49.90', currency: 'USD' }, url: 'https://acme.example/products/floral-shirt?variant=8001' },
    consent: { sms: true }
  }
}

/** Puts sign-ups where they are kept, and the variant out of stock where nobody told of it. */
export async function waits (app: App, signUps: readonly SignUp[], shop = SHOP): Promise<void> {
  const [row] = await app.query(`select shop_key from shops where id = '${shop}'`)
  const shopKey = Number(row?.shop_key)
  const bytes = (text: string): string => {
    const hash = createHash('sha256').update(text).digest('hex')
    return storeKind === 'postgres' ? `'\\x${hash}'::bytea` : `x'${hash}'`
  }
  const values = signUps.map(signUp => {
    const { id, n, variant = '8001', product = '7001', consent = 1, joinedAt = Date.now() - 3_600_000 + n } = signUp
    const data = signUpData(signUp)
    return `('${id}', ${shopKey}, '${variant}', '${product}', ${bytes(id)}, '${(data.customer as { id: string }).id}', '${JSON.stringify(data)}', ${consent}, 'test', ${joinedAt}, ${joinedAt})`
  })
  await app.query(`insert into waitlist_signups (id, shop_key, variant, product, person, customer, data, consent, source, joined_at, created_at) values ${values.join(', ')}`)
  for (const variant of new Set(signUps.map(signUp => signUp.variant ?? '8001'))) await app.query(`insert into waitlist_stock (shop_key, variant, product, armed) values (${shopKey}, '${variant}', '7001', 1) on conflict do nothing`)
}

/** `sgn_0000`, `sgn_0001`, …, oldest first. */
export function several (count: number, more: Partial<SignUp> = {}): SignUp[] {
  return Array.from({ length: count }, (_, n) => ({ id: idOf(n), n, ...more }))
}

export function idOf (n: number): string { return `sgn_${String(n).padStart(4, '0')}` }

/** Nothing gets through for five minutes. */
export function jam (app: App): Promise<void> { return app.fault('courier', { kind: 'status', status: 429, headers: { 'retry-after': '300' } }) }

/** Resolves when the provider has refused a message, and none is on its way any more. */
export async function jammed (app: App): Promise<void> {
  await until(async () => {
    const [seen] = await app.query('select sum(case when reason = \'rate_limited\' then 1 else 0 end) as refused, count(owner) as working from deliveries')
    return Number(seen?.refused) > 0 && Number(seen?.working) === 0
  })
}

let told = 0

/** Tells what is in stock now, in all; each time later than before. */
export function stock (app: App, available: number, { variant = '8001', at = Date.now(), shop = SHOP } = {}): Promise<Answered> {
  const id = `stock-${++told}`
  return app.post({ id, type: 'stock.changed', shop, data: { variant: { id: variant }, product: { id: '7001' }, available, at: new Date(at + told).toISOString() } })
}

/** Numbers of those whom the provider was told about, in the order it was. */
export async function alerted (app: App, provider = 'courier'): Promise<number[]> {
  return (await app.received(provider)).filter(({ body }) => (body as { data?: unknown } | undefined)?.data !== undefined)
    .map(({ body }) => Number((body as { data: { recipient: { name: string } } }).data.recipient.name.split(' ')[1]))
}

export async function waves (app: App): Promise<Body[]> { return (await app.ask('GET', `${API}/waves`)).body.items as Body[] }

/** Resolves when that many were alerted, with who they are, lowest first. */
export async function soon (app: App, count: number): Promise<number[]> {
  await until(async () => (await alerted(app)).length >= count)
  return (await alerted(app)).toSorted((a, b) => a - b)
}

export interface SignUpRow { id: string, state: number, reason: string | null, alerts: number, reminder: string | null, reminder_reason: string | null }

export async function signUps (app: App, where = 'true'): Promise<SignUpRow[]> {
  return (await app.query(`select id, state, reason, alerts, reminder, reminder_reason from waitlist_signups where ${where} order by joined_at, signup_key`))
    .map(row => ({ ...row, state: Number(row.state), alerts: Number(row.alerts) })) as unknown as SignUpRow[]
}

export async function inState (app: App, state: number): Promise<number> { return (await signUps(app, `state = ${state}`)).length }

export const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i)
