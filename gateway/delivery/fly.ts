// One delivery from its place in the windows to its end: the call on disk, the request on the wire, the answer judged.

import { type Answer, type Config, type Priority, type Runtime, type Step, type Store } from '../contract.ts'
import type { OpenAccount } from './account.ts'
import { keepAdjusted, type KeepOptions } from './adjusted.ts'
import { notSent } from './ask.ts'
import type { Channel } from './channel.ts'
import { conclude, type HealthOptions } from './conclude.ts'
import { reserve, warnOfUsage, type MeteringOptions } from './metering.ts'
import { epochOf } from './owned.ts'
import { callSteps, giveBack, notWritten, noRoomYet, type Flight, type PrepareOptions } from './prepare.ts'

/** One attempt, as the log and the metrics see it. No phone number and no secret. */
export interface Attempt {
  delivery: string
  event: string
  type: string
  shop: string
  provider: string
  attempt: number
  status: number | null
  outcome: string
  reason: string | null
  ms: number
}

export interface FlyOptions extends KeepOptions, HealthOptions, MeteringOptions, Pick<PrepareOptions, 'fresh'> {
  store: Store
  runtime: Runtime
  config: Config
  paused (): boolean
  /** Resolves when the steps are on disk, or will not be. */
  insist (steps: Step[]): Promise<void>
  onAttempt (attempt: Attempt): void
}

/** Never throws; whatever becomes of it is in the store, or found by the next start. */
export async function fly (flight: Flight, account: OpenAccount, channel: Channel, options: FlyOptions): Promise<void> {
  const { runtime, store, insist } = options
  const { row, state, gate } = flight
  const { provider } = channel
  if (flight.holds !== account.holds) { // found out since the claim
    gate.release()
    await insist(giveBack(row, options).steps)
    channel.promised--
    return
  }
  try {
    if (flight.meter && !await reserve(flight.meter, row, options)) { // others took what was left since it was looked at
      gate.release()
      await insist(noRoomYet(row, options).steps)
      channel.promised--
      return
    }
    const written = await store.commit(callSteps(flight, store))
    if (written.at(-1)?.changes !== 1) { // taken over meanwhile, or its person opted out: no row would say that it was sent
      gate.release()
      await insist(giveBack(row, options).steps)
      channel.promised--
      return
    }
  } catch (error) {
    options.onError(error)
    gate.release()
    await insist(notWritten(row, options))
    channel.promised--
    return
  }
  const startedAt = runtime.mono()
  const answer = await send(flight, account, channel, options)
  if (answer.kind === 'not_sent') gate.release()
  else gate.stamp(runtime.mono())
  const again = options.fresh?.answered(flight.connection, answer) ?? false
  const { outcome, settled, steps } = conclude({ ...flight, again }, answer, account, provider, options)
  await insist(steps)
  if (outcome.is === 'delivered' && row.adjusted !== null) await keepAdjusted(row, state.shop.id, provider.id, options)
  if (outcome.is === 'delivered' && flight.meter) await warnOfUsage(flight.meter, row, options).catch(options.onError)
  options.onAttempt({
    delivery: row.id as string,
    event: row.event_id as string,
    type: row.type as string,
    shop: state.shop.id,
    provider: provider.id,
    attempt: (row.attempts as number) + 1,
    status: answer.kind === 'answer' ? answer.status : null,
    outcome: outcome.is,
    reason: settled.reason,
    ms: Math.round(runtime.mono() - startedAt)
  })
}

/** The call is on disk. Never throws: what fails before the limiter is not sent, what fails after it may have been. */
async function send ({ row, request, connection, holds }: Flight, account: OpenAccount, channel: Channel, options: FlyOptions): Promise<Answer> {
  const { provider, sender, limiter } = channel
  let running: Promise<Answer>
  try {
    const credentials = provider.authorize(connection.auth, connection.secrets)
    running = limiter.run(row.priority as Priority, async signal => {
      if (!options.store.healthy() || options.paused() || signal.aborted) return notSent('STOPPED', 'the gateway stopped, or its store cannot be trusted')
      if (holds !== account.holds) return notSent('HELD', 'the account was held meanwhile')
      if (epochOf(account, provider, options) !== row.epoch) return notSent('ELSEWHERE', 'another instance may work on this account before the request has ended')
      return await sender.send(request, credentials, signal)
    })
  } catch (error) {
    return notSent('FAILED', (error as Error).message)
  } finally {
    channel.promised--
  }
  return await running.catch((error: Error) => ({ kind: 'no_answer', code: 'FAILED', message: error.message }))
}
