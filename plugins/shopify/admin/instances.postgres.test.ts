// Two gateways on one PostgreSQL ask for the same shop: a token that ends is renewed by one of them, and used by both.

import t, { type Test } from 'tap'
import '../../../test/helpers/on-postgres.ts' // before what asks for the kind of store
import { haveNoPostgres } from '../../../test/helpers/postgres.ts'
import type { ShopApp } from './gateway.test-world.ts'

const { until } = await import('../../../test/helpers/app.ts')
const { configOf, PATH, REFRESH, startShop, TOKEN } = await import('./gateway.test-world.ts')

async function pair (t: Test): Promise<[ShopApp, ShopApp]> {
  const one = await startShop(t)
  const { app: { env, sandboxUrl } } = one
  const other = await startShop(t, { env, config: configOf(undefined, text => text.replace('sandbox: { enabled: true, port: 0 }', `sandbox: { enabled: true, url: "${sandboxUrl}" }`)) })
  await until(async () => (await one.app.query('select distinct owner from slots where owner <> 0')).length === 2)
  return [one, other]
}

const grantNo = async ({ app }: ShopApp): Promise<number> => Number((await app.query('select grant_no from shopify_access'))[0]?.grant_no)
const refreshes = async (shop: ShopApp): Promise<number> => (await shop.asked()).filter(name => name === null).length

t.test('forty questions at two gateways, whose token is about to end: one new token, and all are answered', { skip: haveNoPostgres }, async t => {
  const both = await pair(t)
  const [one] = both
  await one.data({ customers: [{ id: '7', phone: '+12015550107', state: 'SUBSCRIBED' }], token_life_s: 3600 })
  for (let round = 1; round <= 3; round++) {
    const before = await refreshes(one)
    await one.app.query(`delete from shopify_access`)
    await one.connect({ access_token: TOKEN, refresh_token: REFRESH, expires_at: new Date(Date.now() + 3_600_000).toISOString() })
    const grant = await grantNo(one)
    await one.app.query(`update shopify_access set expires_at = ${Date.now() + (round === 1 ? 30_000 : -1000)}`)
    const answers = await Promise.all(Array.from({ length: 40 }, (_, i) => (both[i % 2] as ShopApp).app.ask('GET', `${PATH}/customers/7/consent`)))
    t.strictSame(answers.filter(({ status }) => status !== 200).map(({ body }) => body), [])
    t.equal(await refreshes(one), before + 1)
    t.equal(await grantNo(one), grant + 1)
  }
})
