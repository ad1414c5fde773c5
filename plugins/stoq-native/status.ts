// What Twilio calls here: POST /webhooks/stoq-native/status, its word of what became of a message, and …/inbound, a text of a
// customer's. Each is checked, kept and answered at once; what follows from it is made of it afterwards (understand.ts).

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { InboundContext } from '../../gateway/define.ts'
import { formOf, isSigned, valueOf, type Form } from './signature.ts'

/** As provider.yaml gives it to Twilio: `gateway.url`, and this with `status`. */
const PATH = '/webhooks/stoq-native/'
const FORM = 'application/x-www-form-urlencoded'
/** A report has some twenty short fields, and a text up to 1600 characters beside them. */
const BODY_MAX_BYTES = 64 * 1024
const DELIVERY = /^dlv_[0-9a-f-]{36}$/
/** Of the headers, those that tell one call from its repeat. */
const KEPT = ['content-type', 'i-twilio-idempotency-token', 'user-agent']
/** Twilio has answered the customer itself: a second answer would break the rules. */
const NO_ANSWER = '<?xml version="1.0" encoding="UTF-8"?><Response/>'

export function status (app: FastifyInstance, context: InboundContext): void {
  app.post('/status', { bodyLimit: BODY_MAX_BYTES }, (request, reply) => reported(request, reply, context))
  app.post('/inbound', { bodyLimit: BODY_MAX_BYTES }, (request, reply) => texted(request, reply, context))
}

async function reported (request: FastifyRequest, reply: FastifyReply, context: InboundContext): Promise<FastifyReply> {
  const call = signed(request, 'status', context)
  if ('code' in call) return refuse(reply, call)
  const { form, text, query } = call
  const sid = valueOf(form, 'MessageSid')
  const word = valueOf(form, 'MessageStatus')
  if (sid === '' || word === '') return refuse(reply, { code: 400, message: 'MessageSid or MessageStatus is missing.' })
  const subject = new URLSearchParams(query).get('m') ?? ''
  await context.receive({ keys: [`${sid} ${word}`], topic: 'status', shop: null, subject: DELIVERY.test(subject) ? subject : null, headers: kept(request), body: text })
  return reply.code(204).send()
}

async function texted (request: FastifyRequest, reply: FastifyReply, context: InboundContext): Promise<FastifyReply> {
  const call = signed(request, 'inbound', context)
  if ('code' in call) return refuse(reply, call)
  const sid = valueOf(call.form, 'MessageSid')
  if (sid === '' || valueOf(call.form, 'From') === '') return refuse(reply, { code: 400, message: 'MessageSid or From is missing.' })
  await context.receive({ keys: [`inbound ${sid}`], topic: 'inbound', shop: null, subject: sid, headers: kept(request), body: call.text })
  return reply.code(200).type('text/xml').send(NO_ANSWER)
}

interface Call { form: Form, text: string, query: string }
interface Refusal { code: number, message: string }

/** What came, where Twilio signed it. */
function signed (request: FastifyRequest, route: 'status' | 'inbound', context: InboundContext): Call | Refusal {
  const given = request.headers['x-twilio-signature']
  if (typeof given !== 'string' || given === '') return { code: 400, message: 'The header X-Twilio-Signature is missing.' }
  if (!isForm(request)) return { code: 415, message: `It comes as ${FORM}.` }
  const text = (Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0)).toString('utf8')
  const form = formOf(text)
  const query = queryOf(request)
  return isOurs(given, route + query, form, context) ? { form, text, query } : { code: 403, message: 'The signature is wrong.' }
}

/** The address is the one that was given to Twilio, never the one that the caller names as the host. */
function isOurs (given: string, path: string, form: Form, { secrets, publicUrl, warn }: InboundContext): boolean {
  if (publicUrl === null) {
    warn({}, 'a report cannot be checked: set server.public_url')
    return false
  }
  return isSigned(given, secrets['callback_token'] ?? [], `${publicUrl}${PATH}${path}`, form)
}

function isForm (request: FastifyRequest): boolean {
  return (request.headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase() === FORM
}

/** With its question mark, as it came; '' where there is none. */
function queryOf ({ url }: FastifyRequest): string {
  const at = url.indexOf('?')
  return at === -1 ? '' : url.slice(at)
}

function kept ({ headers }: FastifyRequest): Record<string, string> {
  return Object.fromEntries(KEPT.flatMap(name => typeof headers[name] === 'string' ? [[name, headers[name]]] : []))
}

function refuse (reply: FastifyReply, { code, message }: Refusal): FastifyReply {
  return reply.code(code).send({ error: { message } })
}
