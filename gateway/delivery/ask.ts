// A call that belongs to no delivery: a hook's question, a step of the set-up. It takes a place like any other call,
// but no delivery's, and is kept like any other: the windows must know of it after a restart.

import { setTimeout as wait } from 'node:timers/promises'
import { slotOf, type Answer, type Config, type PreparedRequest, type Runtime, type Step, type Store } from '../contract.ts'
import type { OpenConnection } from '../shops/connections.ts'
import type { Fresh } from '../shops/oauth/fresh.ts'
import type { OpenAccount } from './account.ts'
import type { Accounts } from './accounts.ts'
import type { Channel } from './channel.ts'
import type { Gate } from './gate.ts'
import { LAST } from './limiter.ts'
import { pausesBy } from './pauses.ts'
import { epochOf } from './owned.ts'

/** A question is not worth a longer wait for room; whoever asks comes back. */
const ROOM_WAIT_MS = 10_000
const AGAIN_MS = 20
/** Lists are asked for here, and a page of one may be large. */
const ANSWER_CAP_BYTES = 2 * 1024 * 1024

/** `request`: one of the manifest's by its name, or one that is made already. */
export interface Question { connection: OpenConnection, request: string | PreparedRequest, scope: object, account: OpenAccount, channel: Channel }
export interface AskOptions { store: Store, runtime: Runtime, config: Config, accounts: Accounts, fresh?: Fresh | undefined, stopping (): boolean, /** True: nothing is sent, since what comes of it could not be recorded. */ paused (): boolean }

/** With credentials that are good; once more with others where they are refused. Throws GW_STORE_FAILED where its call could not be kept, and then nothing was sent. */
export async function ask (question: Question, options: AskOptions): Promise<Answer> {
  const { fresh } = options
  if (fresh === undefined || question.connection.oauth === null) return await asked(question, options)
  const connection = await fresh.open(question.connection)
  if (connection === null) return NO_TOKEN
  const answer = await asked({ ...question, connection }, options)
  if (!fresh.answered(connection, answer)) return answer
  const other = await fresh.open(connection)
  if (other === null) return NO_TOKEN
  const second = await asked({ ...question, connection: other }, options)
  fresh.answered(other, second)
  return second
}

async function asked ({ connection, request: given, scope, account, channel }: Question, options: AskOptions): Promise<Answer> {
  const { store, runtime, accounts } = options
  if (options.paused() || !store.healthy()) return notSent('STOPPED', 'the disk of the store is full, or the store cannot be trusted')
  const prepared = typeof given === 'string' ? channel.provider.request(given, scope) : { ok: true as const, request: given }
  if (!prepared.ok) return notSent('NOT_MAPPED', prepared.detail)
  const { request } = prepared
  const credentials = channel.provider.authorize(connection.auth, connection.secrets)
  const epoch = store.slots.epoch(slotOf(account.key))
  account.working++ // it must not be closed meanwhile
  try {
    const gate = await accounts.lane(account, channel.provider, request.group)
    if (!await placed(gate, channel, options)) return notSent('NO_ROOM', 'the account has no room in its windows just now, or the provider no place', gate.nextRoomAt(runtime.mono()) - runtime.mono())
    const key = store.nextKey('calls')
    const reservedAt = runtime.now()
    const answer = await put(key, { account, epoch, channel, request, credentials, gate }, options).finally(() => { channel.answered() })
    await store.commit([closeStep(key, answer, runtime.now()), ...pausesBy(answer, { account, provider: channel.provider, settings: connection.settings, group: request.group, gate, reservedAt }, options)])
    return answer
  } finally {
    account.working--
  }
}

interface Call { account: OpenAccount, epoch: number | null, channel: Channel, request: PreparedRequest, credentials: Record<string, string>, gate: Gate }

/** On disk, then on the wire. */
async function put (key: number, { account, epoch, channel, request, credentials, gate }: Call, { store, runtime, config }: AskOptions): Promise<Answer> {
  try {
    await store.commit([openStep(key, account, request, runtime.now())])
  } catch (error) {
    gate.release()
    channel.promised--
    throw error
  }
  const running = channel.limiter.run(LAST, async signal => epoch === null || account.closed || epochOf(account, channel.provider, { store, config }) !== epoch
    ? notSent('ELSEWHERE', 'another instance may work on this account before the request has ended')
    : await channel.sender.send(request, credentials, signal, ANSWER_CAP_BYTES))
  channel.promised--
  const answer = await running
  if (answer.kind === 'not_sent') gate.release()
  else gate.stamp(runtime.mono())
  return answer
}

/** `afterMs`: when it may go, as far as that is known. */
export function notSent (code: string, message: string, afterMs = 0): Answer {
  return { kind: 'not_sent', code, message, ...(afterMs > 0 && Number.isFinite(afterMs) && { afterMs: Math.ceil(afterMs) }) }
}

const NO_TOKEN = notSent('HELD', 'the provider gives no new token just now')

/** One of the provider's places and one in the account's windows, both or none: no place is kept from deliveries while the windows are full. */
async function placed (gate: Gate, channel: Channel, { runtime, stopping }: AskOptions): Promise<boolean> {
  const until = runtime.mono() + ROOM_WAIT_MS
  let wanting = false
  while (!stopping() && runtime.mono() <= until) {
    const hasRoom = gate.room(runtime.mono()) > 0
    if (hasRoom && !wanting) wanting = channel.want()
    if (wanting && !hasRoom) wanting = channel.giveUp()
    if (wanting && channel.vacant && gate.reserve(runtime.mono())) return channel.take()
    await wait(AGAIN_MS)
  }
  return wanting && channel.giveUp()
}

/** Without the query: it may name a person. */
function openStep (key: number, account: OpenAccount, request: PreparedRequest, now: number): Step {
  return { name: 'open_call', params: { call_key: key, account_key: account.key, lane: request.group, reserved_at: now, request_head: `${request.method} ${request.path.split('?')[0]}` } }
}

function closeStep (key: number, answer: Answer, now: number): Step {
  return { name: 'close_call', params: { call_key: key, settled_at: answer.kind === 'not_sent' ? null : now, status: answer.kind === 'answer' ? answer.status : null, outcome: answer.kind } }
}
