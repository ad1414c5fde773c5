// The command line and a provider at the platform's own account.

import { join } from 'node:path'
import t from 'tap'
import { CONFIG, makeApp } from '../helpers/app.ts'
import { HOUSE, HOUSE_ENTRY } from '../helpers/house-provider.ts'
import { writeFolder } from '../helpers/providers.ts'
import { project, within } from './cli.ts'

const TYPE = 'back_in_stock.alert'
const KEYS = { HOUSE_USER: 'SK1', HOUSE_PASSWORD: 'house-password-7f3a9c2e5b81' }
const PUBLIC_URL = '  public_url: https://sms.example.com'
const SHOP = '\n  - { id: one.example, name: One, domain: one.example, plan: free, connections: [{ provider: house, settings: { greeting: Ahoy } }] }'

function houseProject (t: Parameters<typeof project>[0], change: (config: string) => string = text => text): string {
  const dir = project(t, text => change(text.replace(/^providers:\n/m, `providers:\n${HOUSE_ENTRY}`).replace(/^ {2}public_url: .*$/m, PUBLIC_URL).replace(/^shops:/m, `shops:${SHOP}`)))
  writeFolder(join(dir, 'providers/house'), HOUSE)
  return dir
}

t.test('map shows the request with what the config chose, and test runs cases without it', async t => {
  const cwd = houseProject(t)
  const mapped = await within(['map', TYPE, '--provider', 'house', '--example', '0', '--json'], { cwd, env: KEYS })
  t.equal(mapped.code, 0, mapped.err)
  t.match(JSON.parse(mapped.out), { request: { url: /\/accounts\/AC1\/messages$/, body: { from: '+12015550100', hours: 4, callback: 'https://sms.example.com/webhooks/house', text: /^Back in stock: / } } })
  const ofShop = await within(['map', TYPE, '--provider', 'house', '--shop', 'one.example', '--example', '0', '--json'], { cwd, env: KEYS })
  t.match(JSON.parse(ofShop.out), { request: { url: /\/accounts\/AC1\/messages$/, body: { text: /^Ahoy: / } } })
  t.match(await within(['test', 'house', '--json'], { cwd, env: KEYS }), { code: 0 })
  const failed = await within(['test', 'house', '--json'], { cwd: casesWith(t, 'hours: 1 }', 'hours: 2 }'), env: KEYS })
  t.equal(failed.code, 1, 'a case that says otherwise fails')
  t.match(failed.out, /hours/)
})

function casesWith (t: Parameters<typeof project>[0], find: string, put: string): string {
  const dir = houseProject(t)
  writeFolder(join(dir, 'providers/house'), { 'cases.yaml': HOUSE['cases.yaml']!.replace(find, put) })
  return dir
}

t.test('providers show tells whose account it is and what was chosen', async t => {
  const cwd = houseProject(t)
  const shown = await within(['providers', 'show', 'house', '--json'], { cwd, env: KEYS })
  t.match(JSON.parse(shown.out), { connection: 'gateway', options: { sender: '+12015550100', service: '', hours: 4 } })
  t.notMatch(shown.out, KEYS.HOUSE_PASSWORD)
  t.match((await within(['providers', 'show', 'house'], { cwd, env: KEYS })).out, /account +the platform's/)
  t.match((await within(['providers', 'show', 'courier'], { cwd, env: KEYS })).out, /account +each shop's own/)
})

t.test('validate asks for the account, and for its variables', async t => {
  const without = houseProject(t, text => text.replace(/, connection: \{ account_id.*\} \} \}$/m, ' }'))
  const told = await within(['validate', '--json'], { cwd: without })
  t.equal(told.code, 1)
  t.match(JSON.parse(told.out), { faults: [{ code: 'GW_CONFIG_MISSING_KEY', file: 'gateway.config.yaml' }] })
  const unset = await within(['validate', '--json'], { cwd: houseProject(t) })
  t.match(JSON.parse(unset.out), { faults: [{ code: 'GW_CONFIG_ENV_UNSET' }, { code: 'GW_CONFIG_ENV_UNSET' }] })
})

t.test('shops show names the platform\'s account as that', async t => {
  const app = makeApp(t, { config: CONFIG.replace('providers:\n', `providers:\n${HOUSE_ENTRY}`), env: KEYS })
  writeFolder(join(app.dir, 'providers/house'), HOUSE)
  await app.start()
  const { code, out, err } = await within(['shops', 'show', 'acme.example'], { env: { GATEWAY_URL: app.url, GATEWAY_API_KEY: app.keyOf('all') } })
  t.equal(code, 0, err)
  t.match(out, /^ *house +- +the platform's +connected +all$/m)
})
