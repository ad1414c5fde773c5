// A restock for very many who wait: how soon the platform has its answer and the first customer is texted, whether the lane
// is full to the end, what memory that takes, and what still leaves once it is sold out.

import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { request } from 'undici'
import { API_KEY, type onPostgres, startWorld, type World } from '../../test/e2e/world.ts'
import type { GatewayProcess } from '../../test/helpers/gateway-process.ts'
import type { BroughtOptions } from '../../test/bench/brought.ts'
import { type Figure, memoryOf } from '../../test/bench/parts.ts'
import { p99 } from '../../test/campaign/backlog.ts'
import { type Arrival, type StandIn, startStandIn } from '../../test/helpers/stand-in.ts'
import { sign } from '../shopify/verify.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const PLATFORM_SHOP = 'example-shop.myshopify.com'
const VARIANT = '44123456789012'
const PRODUCT = '8123456789012'
/** 400 a second. What waits for an answer costs a window its length once more: a longer one loses less by it. */
const CAP = { max: 2000, perMs: 5000 }
const BATCH = 1000
/** Other stock events that come in while the wave runs. */
const EVERY_MS = 50
const ANSWER_P99_MS = 100
const FIRST_MS = 2000
const FULL = 0.95
const RSS_MB = 300
const AFTER_SOLD_OUT_MS = 2000

export interface RestockReport {
  waiting: number
  /** Milliseconds of the answers to stock events, the restock's own among them. */
  answersMs: number[]
  /** From the restock's answer to the first arrival at the provider. */
  firstMs: number
  /** Arrivals a second between the first and the last, against what the provider takes. */
  full: number
  peakMb: number
  arrived: number
  twice: number
  /** After the answer to the sell-out: the last arrival, and how many came later than the aim. */
  lastAfterMs: number | null
  late: number
  /** Requests that the provider answered 429. */
  limited: number
}

type On = ReturnType<typeof onPostgres> | undefined

const RECORDED = ['stock.changed', 'product.updated', 'order.placed', 'shop.updated', 'customer.redact', 'customer.data_request', 'shop.redact']
const SECRET = 'restock_secret_0123456789'

function schema (type: string): string { return join(ROOT, 'schemas/events', `${type}.schema.json`) }

/** A shop with a waitlist, told of its stock by the platform's webhooks. */
export function shopWorld (dir: string, standIn: World['standIn'], on: On): World {
  const message = { channel: 'sms', setup_group: 'back_in_stock', expires_after: '24h', person: '/customer/phone' }
  return {
    dir, standIn, ...on,
    providers: [{ id: 'restocked', uncertain: 'repeat', concurrency: 64, windows: [CAP] }],
    shops: [{ id: PLATFORM_SHOP, provider: 'restocked', account: 'account' }],
    more: {
      config: { sources: { shopify: { path: join(ROOT, 'plugins/shopify'), secrets: { client_secret: { env: 'PLATFORM_SECRET' } } }, waitlist: { path: join(ROOT, 'plugins/waitlist') } } },
      types: {
        ...Object.fromEntries(RECORDED.map(type => [type, { schema: schema(type) }])),
        'waitlist.joined': { ...message, schema: schema('waitlist.joined'), kind: 'sync', expires_after: '30d' },
        'back_in_stock.reminder': { ...message, schema: schema('back_in_stock.reminder'), kind: 'marketing' }
      },
      env: { PLATFORM_SECRET: SECRET }
    }
  }
}

/** Milliseconds until the platform had its 200. */
async function webhook (gateway: GatewayProcess, n: number, { variant = VARIANT, quantity, at }: { variant?: string, quantity: number, at: number }): Promise<number> {
  const body = JSON.stringify({ id: Number(variant), product_id: Number(PRODUCT), title: 'Small', price: '19.99', inventory_policy: 'deny', inventory_quantity: quantity, old_inventory_quantity: 0, updated_at: new Date(at).toISOString(), admin_graphql_api_id: `gid://shopify/ProductVariant/${variant}` })
  const headers = {
    'content-type': 'application/json', 'x-shopify-topic': quantity > 0 ? 'variants/in_stock' : 'variants/out_of_stock', 'x-shopify-hmac-sha256': sign(SECRET, Buffer.from(body)), 'x-shopify-shop-domain': PLATFORM_SHOP,
    'x-shopify-api-version': '2026-10', 'x-shopify-webhook-id': `restock-${n}`, 'x-shopify-triggered-at': new Date(at).toISOString()
  }
  const askedAt = performance.now()
  const response = await request(`${gateway.url}/webhooks/shopify`, { method: 'POST', headers, body })
  await response.body.dump()
  if (response.statusCode !== 200) throw new Error(`the webhook was answered ${response.statusCode}`)
  return performance.now() - askedAt
}

async function api (gateway: GatewayProcess, method: 'GET' | 'POST', path: string, body?: unknown): Promise<Record<string, unknown>> {
  const response = await request(gateway.url + path, { method, headers: { authorization: `Bearer ${API_KEY}`, ...(body !== undefined && { 'content-type': 'application/json' }) }, ...(body !== undefined && { body: JSON.stringify(body) }) })
  const text = await response.body.text()
  if (response.statusCode >= 300) throw new Error(`${method} ${path}: ${response.statusCode} ${text.slice(0, 300)}`)
  return JSON.parse(text) as Record<string, unknown>
}

function signUp (n: number, now: number): object {
  return {
    id: `joined-${n}`, type: 'waitlist.joined', shop: PLATFORM_SHOP, time: new Date(now - 3_600_000 + n).toISOString(),
    data: {
      customer: { name: 'Ann', phone: phoneOf(n), country: 'US', id: `c-${n}` },
      product: { id: PRODUCT, title: 'Floral Shirt', vendor: 'Acme', url: 'https://acme.example/products/floral-shirt' },
      variant: { id: VARIANT, title: 'Small', price: { amount: '19.99', currency: 'USD' }, url: 'https://acme.example/products/floral-shirt?variant=1' },
      consent: { sms: true, at: new Date(now - 3_600_000).toISOString() }
    }
  }
}

/** Nobody has a number of this exchange: ten thousand in each area. */
const AREAS = [201, 202, 203, 205, 206, 207, 208, 209, 210, 212, 213, 214]
function phoneOf (n: number): string { return `+1${AREAS[Math.floor(n / 10_000)]}555${String(n % 10_000).padStart(4, '0')}` }

async function again (done: () => Promise<boolean>): Promise<void> {
  while (!await done()) await wait(200)
}

async function signUpAll (gateway: GatewayProcess, waiting: number): Promise<void> {
  const now = Date.now()
  for (let n = 0; n < waiting; n += BATCH) {
    const { items } = await api(gateway, 'POST', '/v1/events', Array.from({ length: Math.min(BATCH, waiting - n) }, (_, i) => signUp(n + i, now))) as { items: Array<{ status: string }> }
    const wrong = items.find(({ status }) => status !== 'accepted')
    if (wrong) throw new Error(JSON.stringify(wrong))
  }
}

/** A wave to its end, or until it is sold out when half of them were texted. */
export async function restock (dir: string, { waiting, soldOut, on }: { waiting: number, soldOut: boolean, on?: On }): Promise<RestockReport> {
  const standIn = await startStandIn({ latencyMs: () => 20, windows: [CAP] })
  const gateway = await startWorld(shopWorld(dir, standIn, on))
  try {
    await webhook(gateway, 0, { quantity: 0, at: Date.now() - 10_000 })
    await signUpAll(gateway, waiting)
    await again(async () => (await api(gateway, 'GET', `/v1/shops/${PLATFORM_SHOP}/channels/sms/forecast`) as unknown as Forecast).queues.every(({ waiting: left }) => left === 0))
    const answersMs: number[] = []
    let peakMb = 0
    const restockedAt = Date.now()
    answersMs.push(await webhook(gateway, 1, { quantity: waiting * 2, at: restockedAt }))
    const answeredAt = performance.now()
    const done = new AbortController()
    const others = (async () => {
      for (let n = 2; !done.signal.aborted; n++) {
        answersMs.push(await webhook(gateway, n, { variant: '44123456789099', quantity: n, at: Date.now() }))
        peakMb = Math.max(peakMb, memoryOf(gateway.pid).rssMb)
        await wait(EVERY_MS)
      }
    })()
    await standIn.until(() => standIn.arrivals.length > 0)
    const first = standIn.arrivals[0] as Arrival
    const goal = soldOut ? waiting / 2 : waiting
    await standIn.until(() => standIn.arrivals.length >= goal)
    const ended = standIn.arrivals[goal - 1] as Arrival
    const after = soldOut ? await sellOut(gateway, standIn) : { lastAfterMs: null, late: 0 }
    done.abort()
    await others
    const taken = standIn.arrivals.filter(({ status }) => status === 202)
    return { waiting, answersMs, firstMs: first.at - answeredAt, full: (goal - 1) / ((ended.at - first.at) / CAP.perMs * CAP.max), peakMb, arrived: taken.length, twice: taken.length - new Set(taken.map(({ ref }) => ref)).size, limited: standIn.limited, ...after }
  } finally {
    await gateway.kill('SIGKILL')
    await standIn.close()
  }
}

async function sellOut (gateway: GatewayProcess, standIn: StandIn): Promise<{ lastAfterMs: number, late: number }> {
  await webhook(gateway, 1_000_000, { quantity: 0, at: Date.now() })
  const at = performance.now()
  await wait(AFTER_SOLD_OUT_MS * 3)
  const late = standIn.arrivals.filter(arrival => arrival.at > at + AFTER_SOLD_OUT_MS).length
  return { lastAfterMs: (standIn.arrivals.at(-1) as Arrival).at - at, late }
}

interface Forecast { queues: Array<{ waiting: number }> }

/** (h): the figures of a restock, and of one that sells out half-way. */
export async function bench ({ quick, folder }: BroughtOptions): Promise<Figure[]> {
  const waiting = quick ? 10_000 : 100_000
  const whole = await restock(folder(), { waiting, soldOut: false })
  const half = await restock(folder(), { waiting, soldOut: true })
  const figure = (name: string, value: number, aim: string, met: boolean, unit: string): Figure => ({ name, gateway: [value], baseline: null, aim, value, shown: `${Math.round(value * 10) / 10} ${unit}`, met })
  const p99Ms = p99([...whole.answersMs, ...half.answersMs])
  const firstMs = Math.max(whole.firstMs, half.firstMs)
  const peakMb = Math.max(whole.peakMb, half.peakMb)
  return [
    figure(`(h) ${waiting} wait: webhooks answered, p99`, p99Ms, `<= ${ANSWER_P99_MS} ms`, p99Ms <= ANSWER_P99_MS, 'ms'),
    figure('    first text after the restock', firstMs, `<= ${FIRST_MS} ms`, firstMs <= FIRST_MS, 'ms'),
    figure('    lane full to the end', whole.full * 100, `>= ${FULL * 100} %`, whole.full >= FULL, '%'),
    figure('    RSS at most', peakMb, `<= ${RSS_MB} MB`, peakMb <= RSS_MB, 'MB'),
    figure('    texted, none twice, none refused', whole.arrived, `${waiting}`, whole.arrived === waiting && whole.twice + half.twice + whole.limited + half.limited === 0, ''),
    figure('    last text after a sell-out half-way', half.lastAfterMs ?? NaN, `<= ${AFTER_SOLD_OUT_MS} ms`, half.late === 0, 'ms')
  ]
}

export function judgeRestock (report: RestockReport): { ok: boolean, line: string } {
  const { waiting, answersMs, firstMs, full, peakMb, arrived, twice, limited, lastAfterMs, late } = report
  const p99Ms = p99(answersMs)
  const ok = p99Ms <= ANSWER_P99_MS && firstMs <= FIRST_MS && full >= FULL && peakMb <= RSS_MB && twice === 0 && late === 0 && limited === 0 && (lastAfterMs !== null || arrived === waiting)
  return { ok, line: `${waiting} wait, ${answersMs.length} webhooks answered in ${p99Ms.toFixed(1)} ms at p99, the first text ${Math.round(firstMs)} ms after the restock, lane ${(full * 100).toFixed(1)} % full, ${peakMb} MB at most, ${arrived} texted, ${twice} twice, ${limited} refused by the provider${lastAfterMs === null ? '' : `; sold out: the last one ${Math.round(lastAfterMs)} ms after, ${late} later than ${AFTER_SOLD_OUT_MS} ms`}` }
}
