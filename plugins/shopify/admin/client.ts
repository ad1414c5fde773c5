// Questions to the Admin API: those of a shop share a lane, which keeps within the points that the shop has left.

import { setTimeout as wait } from 'node:timers/promises'
import PQueue from 'p-queue'
import type { SourceContext, SourceShop } from '../../../gateway/define.ts'
import type { Json } from '../body.ts'
import { access, type Access, type Credentials } from './access.ts'
import { baseOf } from './address.ts'
import { Bucket, type Cost } from './bucket.ts'
import type { Document } from './documents.ts'
import { fault, judge, type Fault, type GraphQlError, type Judged } from './judge.ts'
import type { AdminOptions } from './options.ts'

/** Of an answer no more is read. */
const ANSWER_BYTES = 4 * 1024 * 1024
/** At once, of those that somebody waits for; of the others one. */
const AT_ONCE = 4
/** The distance between two tries doubles up to this. */
const AGAIN_MAX_MS = 30_000
/** Lanes that nothing was asked on for so long are forgotten. */
const IDLE_MS = 3_600_000
const LANES_MAX = 5000

export type Reply = { is: 'answered', data: Json, errors: GraphQlError[] } | { is: 'failed', fault: Fault }

export interface Ask {
  /** So long it may take, tries and waiting included. */
  withinMs: number
  /** Nobody waits for it: it leaves the shop's points to those that somebody waits for. */
  background?: boolean
}

export interface Client {
  readonly access: Access
  /** Never throws for what Shopify does; a store that fails is thrown. */
  ask (shop: SourceShop, document: Document, variables: Json, ask: Ask): Promise<Reply>
}

const LATE: Reply = { is: 'failed', fault: fault('busy', 'later', 1000, 'No answer came in the time there was.') }

interface Lane { bucket: Bucket, front: PQueue, back: PQueue, usedAt: number, /** Points per id as answers said, by name of the question. */ learned: Map<string, number> }

/** `sleep` is the clock of a test. */
export function client (context: SourceContext, sleep: (ms: number) => Promise<unknown> = ms => wait(ms, undefined, { ref: false })): Client {
  const lanes = new Map<number, Lane>()
  const tokens = access(context, sleep)
  const mono = (): number => context.mono()

  function laneOf ({ key }: SourceShop): Lane {
    if (lanes.size > LANES_MAX) for (const [other, { usedAt, front, back }] of lanes) if (usedAt < mono() - IDLE_MS && front.pending + front.size + back.pending + back.size === 0) lanes.delete(other)
    const lane = lanes.get(key) ?? { bucket: new Bucket(mono()), front: new PQueue({ concurrency: AT_ONCE }), back: new PQueue({ concurrency: 1 }), usedAt: 0, learned: new Map() }
    lane.usedAt = mono()
    lanes.set(key, lane)
    return lane
  }

  /** Waits for its points, then asks once. */
  async function once (shop: SourceShop, lane: Lane, document: Document, variables: Json, { token }: Credentials, untilAt: number, background: boolean): Promise<Judged> {
    const base = baseOf(context, shop)
    if (base === null) return { is: 'failed', cost: null, fault: fault('not_a_platform_shop', 'never', 0, 'The shop\'s id is no ….myshopify.com domain: Shopify cannot be asked about it.') }
    const points = pointsOf(document, variables, lane)
    for (let waitMs = lane.bucket.wait(points, mono(), background); waitMs > 0; waitMs = lane.bucket.wait(points, mono(), background)) {
      if (mono() + waitMs > untilAt) return { is: 'failed', cost: null, fault: fault('busy', 'later', waitMs, 'The shop\'s points for questions are used up for the moment.') }
      await sleep(waitMs)
    }
    lane.bucket.take(points, mono())
    const { api_version: version } = context.options as unknown as AdminOptions
    const answer = await context.send(base, {
      method: 'POST',
      path: `/admin/api/${version}/graphql.json`,
      headers: { 'content-type': 'application/json', accept: 'application/json' },
      body: JSON.stringify({ query: document.text, variables })
    }, { 'x-shopify-access-token': token }, ANSWER_BYTES)
    const judged = judge(answer)
    lane.bucket.settle(points, judged.cost, mono())
    if (judged.is === 'failed' && judged.fault.code === 'throttled' && judged.cost?.throttle == null) lane.bucket.empty(mono())
    learn(document, variables, lane, judged.cost)
    return judged
  }

  async function tries (shop: SourceShop, lane: Lane, document: Document, variables: Json, { untilAt, background }: { untilAt: number, background: boolean }): Promise<Reply> {
    if (mono() >= untilAt) return LATE // while it waited for its turn: nobody waits for it any more, and its points are for those that follow
    let got = await tokens.get(shop)
    let renewed = false
    for (let againMs = 500; ; againMs = Math.min(againMs * 2, AGAIN_MAX_MS)) {
      if (!got.ok) return { is: 'failed', fault: got.fault }
      const { credentials } = got
      const judged = await once(shop, lane, document, variables, credentials, untilAt, background)
      if (judged.is === 'answered') {
        if (credentials.error !== null && credentials.error !== 'access_denied') await tokens.worked(shop, credentials.grantNo)
        return { is: 'answered', data: judged.data, errors: judged.errors }
      }
      const { fault: why } = judged
      if (why.next === 'reconnect' && credentials.renewable && !renewed) {
        renewed = true
        got = await tokens.renew(shop, credentials.grantNo)
        continue
      }
      if (why.next === 'reconnect' || why.next === 'pause' || (why.code === 'access_denied' && credentials.error !== why.code)) await tokens.failed(shop, credentials.grantNo, why)
      const restMs = Math.max(againMs, why.afterMs)
      const lost = document.changes === true && why.code === 'no_answer'
      if (why.next !== 'later' || lost || why.code === 'busy' || mono() + restMs > untilAt) return { is: 'failed', fault: why }
      await sleep(restMs)
    }
  }

  return {
    access: tokens,
    async ask (shop, document, variables, ask) {
      const lane = laneOf(shop)
      const background = ask.background === true
      const untilAt = mono() + ask.withinMs
      const ended = new AbortController()
      const late: Promise<Reply> = wait(ask.withinMs, undefined, { ref: false, signal: ended.signal })
        .then(() => LATE, () => new Promise<never>(() => {}))
      try {
        return await Promise.race([(background ? lane.back : lane.front).add(() => tries(shop, lane, document, variables, { untilAt, background })), late])
      } finally {
        ended.abort()
      }
    }
  }
}

function idsIn ({ ids }: Json): number { return Array.isArray(ids) ? ids.length : 0 }

function pointsOf ({ name, points: { fixed, perId } }: Document, variables: Json, { learned }: Lane): number {
  const ids = idsIn(variables)
  return ids === 0 ? learned.get(name) ?? fixed : fixed + Math.ceil(ids * (learned.get(name) ?? perId))
}

function learn ({ name, points: { fixed } }: Document, variables: Json, { learned }: Lane, cost: Cost | null): void {
  if (cost?.requested == null) return
  const ids = idsIn(variables)
  learned.set(name, ids === 0 ? cost.requested : Math.max(0, (cost.requested - fixed) / ids))
}
