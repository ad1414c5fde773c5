// A source made for the tests: the body it is sent says what it makes of it.

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { CONFIG, ROOT, type Answered, type App, type Asked, type Body } from '../helpers/app.ts'

const INDEX = `
import { defineSource, WEBHOOK_CAP_BYTES } from '${ROOT}/gateway/define.ts'
import { GatewayError } from '${ROOT}/gateway/errors.ts'

const shared = globalThis.hook ??= { calls: [], gate: null }

export default defineSource({
  id: 'ID',
  secrets: ['token'],
  events: ['preorder.confirmed', 'noted.thing'],
  options: { type: 'object', additionalProperties: false, properties: { prefix: { type: 'string', default: '' }, most: { type: 'integer', maximum: 9 } } },
  routes (app, context) {
    app.post('/', async (request, reply) => {
      if (!context.secrets.token.includes(request.headers['x-token'])) return reply.code(401).send({ error: 'no' })
      const { body, headers } = request
      if (!Buffer.isBuffer(body)) throw new Error('the body is no Buffer')
      const result = await context.receive({
        topic: headers['x-topic'] ?? 'thing', shop: headers['x-shop'] ?? null, subject: null,
        headers: { 'X-Topic': headers['x-topic'] ?? '' }, body: body.length > WEBHOOK_CAP_BYTES ? null : body.toString(), keys: (headers['x-keys'] ?? '').split(' ').filter(key => key !== '')
      })
      return { result, bytes: body.length }
    })
    app.get('/options', async () => context.options)
    app.post('/refuses', async () => { throw new GatewayError('GW_NOT_FOUND', 'Nothing is here.') })
    app.post('/breaks', async () => { throw new TypeError('secret detail') })
  },
  async translate (received, { options }) {
    shared.calls.push(received)
    const said = JSON.parse(received.body)
    if (said.wait) await shared.gate
    if (said.slowly) await new Promise(resolve => { setTimeout(resolve, said.slowly) })
    if (said.die) process.kill(process.pid, 'SIGKILL')
    if (said.die) await new Promise(() => {})
    if (said.fail) throw new Error('cannot: ' + said.fail)
    return said.is === 'events' ? { ...said, events: said.events.map(event => ({ ...event, id: options.prefix + event.id })) } : said
  }
})
`

/** What the source shares with the test that made it. `gate` is waited for by bodies that say so. */
export interface Shared { calls: Body[], gate: Promise<void> | null }
export const shared: Shared = ((globalThis as unknown as { hook?: Shared }).hook ??= { calls: [], gate: null })

/** Writes the folder of a source. */
export function writeSource (dir: string, id: string, index = INDEX.replace('ID', id)): void {
  mkdirSync(join(dir, 'sources', id), { recursive: true })
  writeFileSync(join(dir, 'sources', id, 'index.ts'), index)
}

/** The usual config with sources (their YAML lines), and one type that makes no message. */
export function configWith (sources: string, more = ''): string {
  return CONFIG.replace('  back_in_stock.reminder: {', `  noted.thing: { schema: ${ROOT}/schemas/events/preorder.confirmed.schema.json, person: /customer/phone }\n  back_in_stock.reminder: {`) + `sources:\n${sources}\n${more}`
}

export const TOKENS = { HOOK_TOKEN: 'hook-token-new-0123456789', HOOK_OLD: 'hook-token-old-0123456789' }
export const HOOK = '  hook: { path: sources/hook, secrets: { token: [{ env: HOOK_TOKEN }, { env: HOOK_OLD }] } }'

export interface Hooked { topic?: string, shop?: string | null, keys?: string[], token?: string, id?: string, path?: string, headers?: Record<string, string>, raw?: string | Buffer, method?: string }

/** Calls the source from outside. */
export function hooked (app: App, body: unknown, { topic = 'thing', shop = 'acme.example', keys = [], token = TOKENS.HOOK_TOKEN, id = 'hook', path = '', headers = {}, raw, method = 'POST' }: Hooked = {}): Promise<Answered> {
  const asked: Asked = { key: null, raw: raw ?? JSON.stringify(body), headers: { 'x-topic': topic, 'x-keys': keys.join(' '), 'x-token': token, ...(shop !== null && { 'x-shop': shop }), ...headers } }
  return app.ask(method, `/webhooks/${id}${path}`, asked)
}

/** The line that tells the end of a row, by its topic. */
export function settled (app: App, topic: string): Promise<Body> {
  return app.logged(entry => entry.msg === 'inbox' && entry.topic === topic)
}

/** The only row of a topic, whole. */
export async function rowOf (app: App, topic: string): Promise<Body> {
  const { body } = await app.ask('GET', `/v1/inbox?topic=${topic}`)
  if (body.items?.length !== 1) throw new Error(`${body.items?.length} rows of ${topic}`)
  return (await app.ask('GET', `/v1/inbox/${String(body.items[0]?.id)}`)).body
}
