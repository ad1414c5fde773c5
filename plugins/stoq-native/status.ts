// POST /webhooks/stoq-native/status: Twilio's word of what became of a message. It is checked, kept and answered at once;
// what follows from it is another's business.

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { InboundContext } from '../../gateway/define.ts'
import { formOf, isSigned } from './signature.ts'

/** As provider.yaml gives it to Twilio: `gateway.url` and this. */
const PATH = '/webhooks/stoq-native/status'
const FORM = 'application/x-www-form-urlencoded'
/** A report has some twenty short fields. */
const BODY_MAX_BYTES = 64 * 1024
const DELIVERY = /^dlv_[0-9a-f-]{36}$/
/** Of the headers, those that tell one call from its repeat. */
const KEPT = ['content-type', 'i-twilio-idempotency-token', 'user-agent']

export function status (app: FastifyInstance, context: InboundContext): void {
  app.post('/status', { bodyLimit: BODY_MAX_BYTES }, (request, reply) => received(request, reply, context))
}

async function received (request: FastifyRequest, reply: FastifyReply, context: InboundContext): Promise<FastifyReply> {
  const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0)
  const given = request.headers['x-twilio-signature']
  if (typeof given !== 'string' || given === '') return refuse(reply, 400, 'The header X-Twilio-Signature is missing.')
  if (!isForm(request)) return refuse(reply, 415, `A report comes as ${FORM}.`)
  const text = body.toString('utf8')
  const form = formOf(text)
  const query = queryOf(request)
  if (!isOurs(given, query, form, context)) return refuse(reply, 403, 'The signature is wrong.')
  const sid = valueOf(form, 'MessageSid')
  const word = valueOf(form, 'MessageStatus')
  if (sid === '' || word === '') return refuse(reply, 400, 'MessageSid or MessageStatus is missing.')
  const subject = new URLSearchParams(query).get('m') ?? ''
  await context.receive({ keys: [`${sid} ${word}`], topic: 'status', shop: null, subject: DELIVERY.test(subject) ? subject : null, headers: kept(request), body: text })
  return reply.code(204).send()
}

/** The address is the one that was given to Twilio, never the one that the caller names as the host. */
function isOurs (given: string, query: string, form: ReturnType<typeof formOf>, { secrets, publicUrl, warn }: InboundContext): boolean {
  if (publicUrl === null) {
    warn({}, 'a report cannot be checked: set server.public_url')
    return false
  }
  return isSigned(given, secrets['callback_token'] ?? [], `${publicUrl}${PATH}${query}`, form)
}

function isForm (request: FastifyRequest): boolean {
  return (request.headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase() === FORM
}

/** With its question mark, as it came; '' where there is none. */
function queryOf ({ url }: FastifyRequest): string {
  const at = url.indexOf('?')
  return at === -1 ? '' : url.slice(at)
}

function valueOf (form: ReturnType<typeof formOf>, name: string): string {
  return form.find(([key]) => key === name)?.[1] ?? ''
}

function kept ({ headers }: FastifyRequest): Record<string, string> {
  return Object.fromEntries(KEPT.flatMap(name => typeof headers[name] === 'string' ? [[name, headers[name]]] : []))
}

function refuse (reply: FastifyReply, code: number, message: string): FastifyReply {
  return reply.code(code).send({ error: { message } })
}
