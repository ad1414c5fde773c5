// kill -9 while signed orders come in: what was answered 200 becomes one confirmation each, whatever the platform sends again.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import t from 'tap'
import { API_KEY, onPostgres, startWorld, targetOf } from '../../test/e2e/world.ts'
import { ROOT, until } from '../../test/helpers/app.ts'
import { drained, judge, listDeliveries } from '../../test/helpers/oracle.ts'
import { startStandIn } from '../../test/helpers/stand-in.ts'
import { newPlace, storeKind } from '../../test/helpers/stores.ts'
import { tempDir } from '../../test/helpers/tmp.ts'
import { sign } from './verify.ts'

const SHOP = 'example-shop.myshopify.com'
const SECRET = 'shopify_test_client_secret_0001'
const FIRST = 5_123_456_790_000
const TEXT = readFileSync(join(import.meta.dirname, 'fixtures/orders-create.preorder.json'), 'utf8').replace('2026-11-16T10:15:00-05:00', new Date(Date.now() - 60_000).toISOString())
const RECORDED = ['order.placed', 'stock.changed', 'product.updated', 'shop.updated', 'customer.redact', 'customer.data_request', 'shop.redact']
const KILLS = 2
const AT_ONCE = 8
const eventOf = (order: number): string => `gid://shopify/Order/${order}/preorder.confirmed`

/** The customer has the order's number, so that what the provider receives tells which order it is of. */
function bodyOf (order: number): string {
  return TEXT.replaceAll('5123456789012', String(order)).replaceAll('7123456789012', String(order)).replaceAll('"#1001"', `"#${order}"`)
}

async function post (url: string, order: number): Promise<number> {
  const body = bodyOf(order)
  const headers = {
    'content-type': 'application/json', 'x-shopify-hmac-sha256': sign(SECRET, Buffer.from(body)), 'x-shopify-topic': 'orders/create', 'x-shopify-shop-domain': SHOP,
    'x-shopify-api-version': '2026-10', 'x-shopify-webhook-id': `webhook-${order}`
  }
  const response = await fetch(`${url}/webhooks/shopify`, { method: 'POST', headers, body, signal: AbortSignal.timeout(5000) })
  await response.arrayBuffer()
  return response.status
}

t.test('every order that was answered 200 is confirmed once, by the count of the client and of the provider', async t => {
  const standIn = await startStandIn({ latencyMs: () => 20 })
  t.teardown(() => standIn.close())
  const gateway = await startWorld({
    dir: tempDir(t), standIn, ...(storeKind === 'postgres' ? onPostgres(await newPlace(t)) : {}),
    providers: [{ id: 'repeats', uncertain: 'repeat', concurrency: 32, windows: [{ max: 100_000, perMs: 1000 }] }],
    shops: [{ id: SHOP, provider: 'repeats', account: 'account' }],
    more: {
      config: { sources: { shopify: { path: import.meta.dirname, secrets: { client_secret: { env: 'SHOPIFY_SECRET' } } } } },
      types: Object.fromEntries(RECORDED.map(type => [type, { schema: join(ROOT, `schemas/events/${type}.schema.json`) }])),
      env: { SHOPIFY_SECRET: SECRET }
    }
  })
  t.teardown(() => gateway.kill('SIGKILL'))
  const accepted = new Set<number>()
  let next = FIRST
  const enough = new AbortController()
  // As the platform does: what is not answered 200 is sent again, the same as before.
  const sender = async (): Promise<void> => {
    while (!enough.signal.aborted) {
      const order = next++
      while (!accepted.has(order)) {
        const status = await post(gateway.url, order).catch(() => 0)
        if (status === 200) accepted.add(order)
        else await wait(50)
      }
    }
  }
  const senders = Array.from({ length: AT_ONCE }, sender)
  for (let kill = 1; kill <= KILLS; kill++) {
    await until(async () => accepted.size >= kill * 100)
    await gateway.kill('SIGKILL')
    await gateway.restart()
  }
  await until(async () => accepted.size >= (KILLS + 1) * 100)
  enough.abort()
  await Promise.all(senders)
  const target = targetOf(gateway)
  const open = async (): Promise<number> => ((await (await fetch(`${gateway.url}/v1/inbox?state=received`, { headers: { authorization: `Bearer ${API_KEY}` } })).json()) as { items: unknown[] }).items.length
  await until(async () => await open() === 0)
  await drained(target, 30_000)
  const listed = await listDeliveries(target)
  const finding = judge(new Set([...accepted].map(eventOf)), standIn.arrivals.map(arrival => ({ ...arrival, ref: eventOf(Number(arrival.ref)) })), listed)
  t.equal(finding.received, accepted.size)
  t.strictSame([finding.lost, finding.unknown, finding.waiting, finding.doubled, finding.claimedOnly, finding.unexplained], [[], [], [], [], [], []])
  t.strictSame(listed.map(({ sourceId }) => sourceId).toSorted(), [...accepted].map(eventOf).toSorted(), 'one delivery for each order, and for nothing else')
  t.comment(`${accepted.size} orders, ${finding.repeatedKeys.length} sent again under their key`)
})
