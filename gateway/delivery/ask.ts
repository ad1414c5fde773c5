// A call that belongs to no delivery: a hook's question, a step of the set-up. It takes a place like any other call,
// and is kept like any other: the windows must know of it after a restart.

import { setTimeout as wait } from 'node:timers/promises'
import type { Answer, PreparedRequest, Runtime, Step, Store } from '../contract.ts'
import type { OpenConnection } from '../shops/connections.ts'
import type { OpenAccount } from './account.ts'
import type { Accounts } from './accounts.ts'
import type { Channel } from './channel.ts'
import type { Gate } from './gate.ts'

/** A question is not worth a longer wait for room; whoever asks comes back. */
const ROOM_WAIT_MS = 10_000
const AGAIN_MS = 20

export interface Question { connection: OpenConnection, request: string, scope: object, account: OpenAccount, channel: Channel }
export interface AskOptions { store: Store, runtime: Runtime, accounts: Accounts, stopping (): boolean }

/** Throws GW_STORE_FAILED where its call could not be kept, and then nothing was sent. */
export async function ask ({ connection, request: name, scope, account, channel }: Question, options: AskOptions): Promise<Answer> {
  const { store, runtime, accounts } = options
  const prepared = channel.provider.request(name, scope)
  if (!prepared.ok) return notSent('NOT_MAPPED', prepared.detail)
  const { request } = prepared
  const credentials = channel.provider.authorize(connection.auth, connection.secrets)
  const gate = await accounts.lane(account, channel.provider, request.group)
  account.working++ // it must not be closed meanwhile
  try {
    if (!await reserved(gate, options)) return notSent('NO_ROOM', 'the account has no room in its windows just now')
    const key = store.nextKey('calls')
    await store.commit([openStep(key, account, request, runtime.now())]).catch(error => { gate.release(); throw error })
    const answer = await channel.limiter.run(0, signal => channel.sender.send(request, credentials, signal))
    if (answer.kind === 'not_sent') gate.release()
    else gate.stamp(runtime.mono())
    await store.commit([closeStep(key, answer, runtime.now())])
    return answer
  } finally {
    account.working--
  }
}

export function notSent (code: string, message: string): Answer { return { kind: 'not_sent', code, message } }

async function reserved (gate: Gate, { runtime, stopping }: AskOptions): Promise<boolean> {
  const until = runtime.mono() + ROOM_WAIT_MS
  while (!gate.reserve(runtime.mono())) {
    if (stopping() || runtime.mono() > until) return false
    await wait(AGAIN_MS)
  }
  return true
}

function openStep (key: number, account: OpenAccount, request: PreparedRequest, now: number): Step {
  return { name: 'open_call', params: { call_key: key, account_key: account.key, lane: request.group, reserved_at: now, request_head: `${request.method} ${request.path}` } }
}

function closeStep (key: number, answer: Answer, now: number): Step {
  return { name: 'close_call', params: { call_key: key, settled_at: answer.kind === 'not_sent' ? null : now, status: answer.kind === 'answer' ? answer.status : null, outcome: answer.kind } }
}
