// What Twilio calls by itself, ordered below /_sandbox, since the sandbox does not know the token it is signed with. JSON both ways.
// POST callbacks {token, statuses, code?, times?, before_answer?, to?}   the next messages are reported so, in this order
// POST texts {account, token, address, from, body, opt_out_type?, sid?, to?}   a customer texts; address: the inbound route as Twilio knows it
// GET callbacks   what was called, newest last, and how it was answered
// Only addresses of this machine are called; `to` is its base in place of the one that was given and signed.

import { randomUUID } from 'node:crypto'
import { Ajv2020 } from 'ajv/dist/2020.js'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Message } from './sandbox-log.ts'
import { sign, type Form } from './signature.ts'

const KEPT_MAX = 1000
const TIMEOUT_MS = 5000
const TOKEN = { type: 'string', minLength: 16 }
const URL_TEXT = { type: 'string', pattern: '^https?://' }

interface Reports { token: string, statuses: string[], code?: number, times?: number, before_answer?: boolean, to?: string }
interface Text { account: string, token: string, address: string, from: string, body: string, opt_out_type?: string, sid?: string, to?: string }
/** `status` null: there was no answer, or the address is not of this machine. */
interface Called { url: string, form: Record<string, string>, status: number | null, body: string | null }

const ajv = new Ajv2020()
const closed = <T>(required: string[], properties: Record<string, object>) => ajv.compile<T>({ type: 'object', additionalProperties: false, required, properties })
const fitsReports = closed<Reports>(['token', 'statuses'], {
  token: TOKEN, statuses: { type: 'array', minItems: 1, maxItems: 20, items: { type: 'string' } }, code: { type: 'integer' }, times: { type: 'integer', minimum: 1, maximum: 10_000 }, before_answer: { type: 'boolean' }, to: URL_TEXT
})
const fitsText = closed<Text>(['account', 'token', 'address', 'from', 'body'], {
  account: { type: 'string' }, token: TOKEN, address: URL_TEXT, from: { type: 'string' }, body: { type: 'string', maxLength: 1600 }, opt_out_type: { enum: ['STOP', 'START', 'HELP'] }, sid: { type: 'string' }, to: URL_TEXT
})

export class Callbacks {
  #orders: Array<Reports & { times: number }> = []
  #called: Called[] = []
  #stopped = new AbortController()

  mount (app: FastifyInstance): void {
    app.post('/_sandbox/callbacks', (request, reply) => this.#order(request, reply))
    app.get('/_sandbox/callbacks', async () => ({ items: this.#called }))
    app.post('/_sandbox/texts', async (request, reply) => await this.#text(request, reply))
    app.addHook('onClose', async () => { this.#stopped.abort() })
  }

  /** Reports of a message that was made now, as they were ordered: `before` its answer when that was asked for, else after it. */
  of (message: Message): { before: Promise<void>, after (): void } {
    const order = this.#orders[0]
    const url = message.form.StatusCallback
    if (order === undefined || url === undefined) return { before: Promise.resolve(), after () {} }
    if (--order.times === 0) this.#orders.shift()
    const report = (): Promise<void> => this.#report(message, url, order)
    return order.before_answer === true ? { before: report(), after () {} } : { before: Promise.resolve(), after: () => { void report() } }
  }

  async #report ({ sid, account, form }: Message, url: string, { token, statuses, code, to }: Reports): Promise<void> {
    for (const status of statuses) {
      const failed = status === 'failed' || status === 'undelivered'
      await this.#call(url, token, [
        ['AccountSid', account], ['ApiVersion', '2010-04-01'], ...(failed && code !== undefined ? [['ErrorCode', String(code)] as const] : []), ['From', form.From ?? '+12015550100'],
        ['MessageSid', sid], ['MessageStatus', status], ['SmsSid', sid], ['SmsStatus', status], ['To', form.To]
      ], to)
    }
  }

  #order (request: FastifyRequest, reply: FastifyReply): FastifyReply {
    const order = parsed(request)
    if (!fitsReports(order)) return reply.code(400).send({ error: ajv.errorsText(fitsReports.errors) })
    this.#orders.push({ times: 1, ...order })
    return reply.code(201).send(order)
  }

  async #text (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const text = parsed(request)
    if (!fitsText(text)) return reply.code(400).send({ error: ajv.errorsText(fitsText.errors) })
    const { account, token, address, from, body, opt_out_type: type, sid = `SM${randomUUID().replaceAll('-', '')}`, to } = text
    const called = await this.#call(address, token, [['AccountSid', account], ['Body', body], ['From', from], ['MessageSid', sid], ['NumMedia', '0'], ...(type === undefined ? [] : [['OptOutType', type] as const]), ['To', '+12015550100']], to)
    return reply.code(201).send(called)
  }

  async #call (url: string, token: string, form: Form, to?: string): Promise<Called> {
    const called: Called = { url, form: Object.fromEntries(form), status: null, body: null }
    this.#called.push(called)
    if (this.#called.length > KEPT_MAX) this.#called.shift()
    const { pathname, search } = new URL(url)
    const address = new URL(pathname + search, to ?? url)
    if (!isLoopback(address)) return called
    const headers = { 'content-type': 'application/x-www-form-urlencoded', 'x-twilio-signature': sign(token, url, form) }
    try {
      const answer = await fetch(address, { method: 'POST', headers, body: new URLSearchParams(form.map(([name, value]): [string, string] => [name, value])).toString(), redirect: 'manual', signal: AbortSignal.any([this.#stopped.signal, AbortSignal.timeout(TIMEOUT_MS)]) })
      called.body = await answer.text()
      called.status = answer.status
    } catch {
      called.status = null
    }
    return called
  }
}

/** Whether an address is of this machine, in any notation that URLs know. */
function isLoopback ({ hostname }: URL): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(hostname)
}

function parsed ({ body }: FastifyRequest): unknown {
  try {
    return JSON.parse(Buffer.isBuffer(body) ? body.toString('utf8') : '')
  } catch {
    return null
  }
}
