// "house" with code that understands what its address was told: a list of notices, as JSON. Its messages are all called M1.

import { join } from 'node:path'
import { request } from 'undici'
import { CONFIG, makeApp, until, type App, type AppOptions, type Body } from './app.ts'
import { HOUSE, HOUSE_ENTRY } from './house-provider.ts'
import { writeFolder } from './providers.ts'
import { ROOT } from './sources.ts'
import type { Teardown } from './tmp.ts'

export const POLL = 'status_poll: { request: look, after: [1h, 24h] }\n'

export const TELLER = {
  ...HOUSE,
  'provider.yaml': String(HOUSE['provider.yaml'])
    .replace('["POST /accounts/{account}/messages"]', '["POST /accounts/{account}/messages", "GET /accounts/{account}/messages/{id}"]')
    .replace('omit_empty: [""] }', 'omit_empty: [""], receipt: /id }\n  look: { method: GET, path: "/accounts/{{ connection.account_id }}/messages/{{ map.receipt }}" }')
    .replace('events:\n', `${POLL}outcomes:\n  - { status: 201, body_at: { pointer: /why, equals: gone }, is: rejected, reason: number_unknown, detail: "{{ response.body.why }}" }\nevents:\n`)
    .replace('message: { status: 201,', 'message: { status: 201, body: { id: M1 },') + '  look: { body: { word: delivered } }\n',
  'index.ts': `import { defineProvider } from '${join(ROOT, 'gateway/define.ts')}'
export default defineProvider({
  id: 'house',
  routes (app, context) {
    app.post('/tell', async request => {
      const body = String(request.body)
      return { kept: await context.receive({ keys: [body], topic: 'told', shop: null, subject: null, headers: {}, body }) }
    })
  },
  understand: ({ body }) => JSON.parse(body).told,
  reported: body => ({ word: JSON.parse(body).word, code: null, answer: null })
})
`
}

export const WITH_TELLER = CONFIG.replace('providers:\n', `providers:\n${HOUSE_ENTRY}`).replace('default_provider: courier', 'default_provider: house')
  .replace('{ sms: courier }', '{ sms: house }').replace('{ sms: herald }', '{ sms: house }')

/** A gateway whose shops send through it. */
export async function tellerApp (t: Teardown, options: AppOptions = {}): Promise<App> {
  const app = makeApp(t, { config: WITH_TELLER, env: { HOUSE_USER: 'SK1', HOUSE_PASSWORD: 'house-password-7f3a9c2e5b81' }, ...options })
  writeFolder(join(app.dir, 'providers/house'), TELLER)
  await app.start()
  return app
}

let calls = 0

/** Tells it something and waits for what comes of the row. */
export async function tell (app: App, told: unknown): Promise<Body> {
  const text = JSON.stringify({ n: ++calls, told })
  const answer = await request(`${app.url}/webhooks/house/tell`, { method: 'POST', body: text })
  await answer.body.dump()
  let row: Body = {}
  await until(async () => {
    row = (await app.ask('GET', '/v1/inbox?source=house&limit=1')).body.items?.[0] ?? {}
    return row.state !== 'received' || Number(row.attempts) > 0
  })
  return row
}
