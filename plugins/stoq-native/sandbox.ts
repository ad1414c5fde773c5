// Twilio's Messages API as its documentation has it, for the endpoints this folder uses. The strict party:
// where the documentation leaves room, this refuses. As credentials it takes an Account SID (AC…) or a key (SK…)
// with any secret of 16 characters or more; one that holds "revoked" is answered 401. Recipients that are
// refused, and those whose message fails later, are listed in setup.md.

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { SandboxContext } from '../../gateway/define.ts'
import { Callbacks } from './sandbox-callbacks.ts'
import { refusal, refusedFor } from './sandbox-codes.ts'
import type { Refusal } from './sandbox-codes.ts'
import { formFault, pairsOf } from './sandbox-form.ts'
import type { MessageForm } from './sandbox-form.ts'
import { MessageLog, resource } from './sandbox-log.ts'
import type { Message } from './sandbox-log.ts'
import { readPage } from './sandbox-pages.ts'

const FORM = 'application/x-www-form-urlencoded'
const ACCOUNT = /^AC[0-9a-fA-F]{32}$/
const MESSAGE = /^(SM|MM)[0-9a-fA-F]{32}$/
/** Of a key the sandbox takes letters too, so that one made here will do. */
const USER = /^(AC[0-9a-fA-F]{32}|SK[0-9A-Za-z_-]{32,64})$/
const SECRET = /^[0-9A-Za-z_-]{16,}$/

type Params = { account: string, sid: string }
type Handler = (account: string, request: FastifyRequest<{ Params: Params }>) => { status: number, body: object } | Refusal

export default function twilio (app: FastifyInstance, context: SandboxContext): void {
  const log = new MessageLog()
  const callbacks = new Callbacks()
  callbacks.mount(app)
  const messages = '/2010-04-01/Accounts/:account/Messages.json'
  const message = '/2010-04-01/Accounts/:account/Messages/:sid.json'
  app.post<{ Params: Params }>(messages, async (request, reply) => {
    let reports: ReturnType<Callbacks['of']> | null = null
    const made = (message: Message): void => { reports = callbacks.of(message) }
    const result = judged(request, context, 'create', account => create(account, request, log, context, made))
    await (reports as ReturnType<Callbacks['of']> | null)?.before
    reply.raw.once('close', () => { reports?.after() })
    return answer(reply, result)
  })
  app.get<{ Params: Params }>(messages, (request, reply) => served(request, reply, context, 'read', account => list(account, request, log, context)))
  app.get<{ Params: Params }>(message, (request, reply) => served(request, reply, context, 'read', account => fetched(account, request, log, context)))
  app.setNotFoundHandler((request, reply) => refuse(reply, refusal(20404, `The requested resource ${pathOf(request)} was not found`)))
  for (const url of [messages, message]) {
    app.route({ method: url === messages ? ['PUT', 'PATCH', 'DELETE'] : ['PUT', 'PATCH', 'POST', 'DELETE'], url, handler: (_request, reply) => refuse(reply, { status: 405, code: 20004, message: 'Method not allowed' }) })
  }
}

/** What every call goes through: who asks, for which account, and how often. What was asked is kept, refused or not. */
function served (request: FastifyRequest<{ Params: Params }>, reply: FastifyReply, context: SandboxContext, group: string, then: Handler): FastifyReply {
  return answer(reply, judged(request, context, group, then))
}

function judged (request: FastifyRequest<{ Params: Params }>, context: SandboxContext, group: string, then: Handler): ReturnType<Handler> {
  const { account } = request.params
  const result = authFault(request) ?? (ACCOUNT.test(account) ? null : refusal(20404)) ?? throttled(context, group, account) ?? then(account, request)
  context.record({ account, method: request.method, path: pathOf(request), body: shown(request), status: result.status })
  return result
}

function answer (reply: FastifyReply, result: ReturnType<Handler>): FastifyReply {
  return 'code' in result ? refuse(reply, result) : reply.code(result.status).send(result.body)
}

function create (account: string, request: FastifyRequest, log: MessageLog, context: SandboxContext, made: (message: Message) => void): ReturnType<Handler> {
  if ((request.headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase() !== FORM) return refusal(21604, `A 'To' phone number is required: only ${FORM} is read`)
  const form = pairsOf(text(request))
  if (form === null) return refusal(20001, 'A parameter comes twice, or the body is no form')
  const fault = formFault(form) ?? refusedFor(form['To'] as string)
  if (fault !== null) return fault
  const now = context.wallNow()
  const message = log.add(account, form as unknown as MessageForm, now)
  made(message)
  return { status: 201, body: resource(message, now) }
}

function list (account: string, request: FastifyRequest, log: MessageLog, context: SandboxContext): ReturnType<Handler> {
  const query = pairsOf(queryOf(request))
  if (query === null) return refusal(20001, 'A parameter comes twice, or the query is none')
  return readPage(account, query, log, context.wallNow())
}

function fetched (account: string, request: FastifyRequest<{ Params: Params }>, log: MessageLog, context: SandboxContext): ReturnType<Handler> {
  const { sid } = request.params
  const message = MESSAGE.test(sid) ? log.find(account, sid) : null
  return message === null ? refusal(20404) : { status: 200, body: resource(message, context.wallNow()) }
}

function authFault (request: FastifyRequest<{ Params: Params }>): Refusal | null {
  const given = /^Basic ([A-Za-z0-9+/]+={0,2})$/.exec(request.headers.authorization ?? '')?.[1]
  if (given === undefined) return refusal(20003, 'Authentication Error - No credentials provided')
  const pair = Buffer.from(given, 'base64').toString('utf8')
  const user = pair.slice(0, pair.indexOf(':'))
  const secret = pair.slice(pair.indexOf(':') + 1)
  if (!USER.test(user) || !SECRET.test(secret) || secret.includes('revoked')) return refusal(20003, 'Authentication Error - invalid username')
  return user.startsWith('AC') && user !== request.params.account ? refusal(20003) : null
}

function throttled (context: SandboxContext, group: string, account: string): Refusal | null {
  return context.take(group, account) === null ? null : refusal(20429)
}

function refuse (reply: FastifyReply, { status, code, message }: Refusal): FastifyReply {
  return reply.code(status).send({ code, message, more_info: `https://www.twilio.com/docs/errors/${code}`, status })
}

/** The path as Twilio knows it. */
function pathOf (request: FastifyRequest): string {
  const path = request.url.split('?')[0] as string
  return path.slice(Math.max(0, path.indexOf('/2010-04-01')))
}

function queryOf (request: FastifyRequest): string {
  const at = request.url.indexOf('?')
  return at === -1 ? '' : request.url.slice(at + 1)
}

function text (request: FastifyRequest): string {
  return Buffer.isBuffer(request.body) ? request.body.toString('utf8') : ''
}

/** The parameters, for whoever reads what was received. */
function shown (request: FastifyRequest): unknown {
  const given = request.method === 'POST' ? text(request) : queryOf(request)
  return pairsOf(given) ?? given
}
