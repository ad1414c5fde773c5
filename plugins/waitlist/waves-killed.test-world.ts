// kill -9 at random moments of waves: two variants, one with enough for all and one with seven. Nobody is told twice,
// nobody is lost, and nobody more than the stock allows.

import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import type { Row } from '../../gateway/contract.ts'
import { between, seeded } from '../../test/campaign/seed.ts'
import { API_KEY, startWorld, targetOf, type onPostgres } from '../../test/e2e/world.ts'
import { get } from '../../test/helpers/oracle.ts'
import { startStandIn } from '../../test/helpers/stand-in.ts'
import { ROOT } from '../../test/helpers/sources.ts'

export interface KillWavesOptions {
  /** An empty folder. */
  dir: string
  seed: number
  /** In each half. */
  kills: number
  /** Those who wait for what there is enough of, and for what there is too little of. */
  many: number
  batched: number
  /** Writes to the gateway's own store, and reads. */
  sql (text: string): Promise<Row[]>
  on?: ReturnType<typeof onPostgres> | undefined
}

export interface KillWavesReport { kills: number, wrong: string[] }

const SHOP = 'shop.example'
const STOCK = 7
const WITHIN_MS = 60_000
/** Long enough for a wave to tell more, if it did. */
const QUIET_MS = 1500

export async function killWaves ({ dir, seed, kills, many, batched, sql, on }: KillWavesOptions): Promise<KillWavesReport> {
  const random = seeded(seed)
  const standIn = await startStandIn({ latencyMs: () => 5 + random() * 20 })
  const type = (name: string): object => ({ schema: join(ROOT, 'schemas/events', `${name}.schema.json`) })
  const message = (name: string, kind: string): object => ({ ...type(name), channel: 'sms', setup_group: 'back_in_stock', kind, expires_after: '24h', person: '/customer/phone' })
  const gateway = await startWorld({
    dir, standIn, ...on,
    providers: [{ id: 'repeats', uncertain: 'repeat', concurrency: 8, windows: [{ max: 200, perMs: 1000 }] }],
    shops: [{ id: SHOP, provider: 'repeats', account: 'account' }],
    more: {
      config: { plans: { pro: ['batches'] }, sources: { waitlist: { path: import.meta.dirname, options: {} } } },
      types: {
        'back_in_stock.reminder': message('back_in_stock.reminder', 'marketing'), 'waitlist.joined': message('waitlist.joined', 'sync'),
        'stock.changed': type('stock.changed'), 'product.updated': type('product.updated'), 'order.placed': type('order.placed')
      },
      env: {}
    }
  })
  const report: KillWavesReport = { kills: 0, wrong: [] }
  const told = (variant: string): string[] => standIn.arrivals.filter(({ ref, status }) => status < 300 && ref.startsWith(`${variant}-`)).map(({ ref }) => ref)
  const names = (variant: string): string[] => [...new Set(told(variant))].toSorted()
  const killed = async (): Promise<void> => {
    for (let kill = 0; kill < kills; kill++) {
      await wait(between(random, 20, 500)())
      await gateway.kill('SIGKILL')
      await gateway.restart()
      report.kills++
    }
  }
  const expect = async (what: string, is: () => boolean | Promise<boolean>): Promise<void> => {
    for (const endsAt = performance.now() + WITHIN_MS; !await is();) {
      if (performance.now() > endsAt) throw new Error(`${what}: in vain`)
      await wait(50)
    }
  }
  const stock = async (id: string, variant: string, available: number): Promise<void> => {
    const body = JSON.stringify({ id, type: 'stock.changed', shop: SHOP, data: { variant: { id: variant }, available, at: new Date().toISOString() } })
    await expect(`${id} is accepted`, async () => (await fetch(`${gateway.url}/v1/events`, { method: 'POST', headers: { authorization: `Bearer ${API_KEY}`, 'content-type': 'application/json' }, body }).then(({ status }) => status, () => 0)) === 202)
  }
  const counted = async (variant: string, state: number): Promise<number> => Number((await sql(`select count(*) as n from waitlist_signups where variant = '${variant}' and state = ${state}`))[0]?.n)
  try {
    await fill({ sql, on }, [['many', many], ['batched', batched]])
    await stock('1', 'batched', STOCK)
    await stock('2', 'many', many)
    await killed()
    await expect('all are told', () => names('many').length === many && names('batched').length >= STOCK)
    await expect('it is known who was told', async () => await counted('many', 3) === many && await counted('batched', 3) === STOCK)
    await stock('3', 'batched', 0)
    await wait(QUIET_MS)
    if (names('batched').join() !== oldest(STOCK)) report.wrong.push(`after the first restock ${names('batched').join()} were told`)
    await stock('4', 'batched', STOCK)
    await killed()
    await expect('the next are told', async () => await counted('batched', 3) === 2 * STOCK)
    await wait(QUIET_MS)
    if (names('batched').join() !== oldest(2 * STOCK)) report.wrong.push(`after the second restock ${names('batched').join()} were told`)
    const keys = Map.groupBy(standIn.arrivals, ({ ref }) => ref)
    report.wrong.push(...[...keys].filter(([, those]) => new Set(those.map(({ key }) => key)).size > 1).map(([ref]) => `${ref} was told twice`))
    const { items } = await get(targetOf(gateway), `/v1/shops/${SHOP}/waitlist/waves`) as { items: Array<{ variant: string, made: number, alerted: number, state: string }> }
    const seen = items.map(({ variant, made, alerted, state }) => `${variant} ${made} ${alerted} ${state}`)
    if (seen.join() !== [`batched ${STOCK} ${STOCK} running`, `many ${many} ${many} ended`, `batched ${STOCK} ${STOCK} ended`].join()) report.wrong.push(`the waves say ${seen.join()}`)
  } finally {
    await gateway.kill('SIGKILL')
    await standIn.close()
  }
  return report
}

function nameOf (variant: string, n: number): string { return `${variant}-${String(n).padStart(5, '0')}` }
function oldest (count: number): string { return Array.from({ length: count }, (_, n) => nameOf('batched', n)).join() }

/** The provider hears of each by the name of the customer's id. */
async function fill ({ sql, on }: Pick<KillWavesOptions, 'sql' | 'on'>, groups: ReadonlyArray<[variant: string, count: number]>): Promise<void> {
  const person = on === undefined ? 'x\'01\'' : '\'\\x01\'::bytea'
  const [shop] = await sql(`select shop_key from shops where id = '${SHOP}'`)
  const key = Number(shop?.shop_key)
  for (const [variant, count] of groups) {
    const values = Array.from({ length: count }, (_, n) => {
      const name = nameOf(variant, n)
      const data = { customer: { name: 'Ada', phone: '+12015550123', country: 'US', id: name }, product: { id: 'p', title: 'Shirt', vendor: '', url: 'https://acme.example/p' }, variant: { id: variant, price: { amount: '1', currency: 'USD' }, url: 'https://acme.example/p' }, consent: { sms: true } }
      return `('sgn_${name}', ${key}, '${variant}', 'p', 'm${n}', ${person}, '${JSON.stringify(data)}', 1, 'test', ${1_700_000_000_000 + n}, 0)`
    })
    const into = 'insert into waitlist_signups (id, shop_key, variant, product, market, person, data, consent, source, joined_at, created_at) values'
    await sql(`${into} ${values.join(', ')}`)
    await sql(`insert into waitlist_stock (shop_key, variant, product, armed) values (${key}, '${variant}', 'p', 1)`)
  }
  await sql(`insert into waitlist_settings (shop_key, data, updated_at) values (${key}, '{"batches":{"multiplier":1,"interval_minutes":1440}}', 0)`)
}
