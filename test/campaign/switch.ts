// A shop that goes to and fro between two providers while events flow: no event may reach both of them, whoever answers or
// does not. Judged by what the client was promised and what the providers wrote down.

import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { request } from 'undici'
import type { Uncertain } from '../../gateway/contract.ts'
import { API_KEY, startWorld, targetOf, type World } from '../e2e/world.ts'
import { eventOf, Load } from '../helpers/load.ts'
import { drained, judge, listDeliveries, readAccepted, readArrivals, type Finding, type Listed } from '../helpers/oracle.ts'
import { type Arrival, startStandIn } from '../helpers/stand-in.ts'
import { between, seeded } from './seed.ts'
import { some } from './trial.ts'

export interface SwitchOptions {
  /** An empty folder. */
  dir: string
  seed: number
  /** How long it is switched while events come; longer where that was not ten times. */
  forMs: number
  /** Of the messages that a provider took, how many get no answer. */
  cutShare: number
  /** `repeat`: both providers tell repeats apart, so that what got no answer is sent again, where it was and while the shop sends there. `park`: a person decides. */
  uncertain: Extract<Uncertain, 'repeat' | 'park'>
  on?: Pick<World, 'store' | 'start' | 'requestDeadline'> | undefined
}

export interface SwitchReport {
  seed: number
  switches: number
  finding: Finding
  /** Deliveries that the gateway lists. */
  listed: number
  /** How many messages each provider took. */
  took: Record<string, number>
  /** Messages that were taken and got no answer. */
  cut: number
  /** Deliveries that the gateway shows as unknown. */
  open: number
  /** Events that reached both. */
  both: string[]
  /** Cut, and not shown as unknown at the provider that has it (`park`). */
  hidden: string[]
  /** Shown as unknown, and at another provider than the one that has it, or none. */
  astray: string[]
}

const SHOP = 'shop.example'
const PROVIDERS = ['left', 'right'] as const
const RATE = 120
const SWITCHES_MIN = 10
const DRAINED_WITHIN_MS = 120_000

export async function switchToAndFro ({ dir, seed, forMs, cutShare, uncertain, on }: SwitchOptions): Promise<SwitchReport> {
  const random = seeded(seed)
  const files = { accepted: join(dir, 'accepted.txt'), received: join(dir, 'received.txt') }
  const cuts = { share: cutShare, count: 0 }
  const cut = () => {
    const cut = random() < cuts.share
    if (cut) cuts.count++
    return cut
  }
  const standIn = await startStandIn({ file: files.received, latencyMs: between(random, 5, 120), cut })
  const gateway = await startWorld({
    dir, standIn,
    providers: PROVIDERS.map(id => ({ id, uncertain, concurrency: 12, windows: [{ max: 100_000, perMs: 1000 }] })),
    shops: [{ id: SHOP, provider: PROVIDERS[0], account: 'left' }],
    more: { types: {}, env: {}, config: { delivery: { request_deadline: '2s', retry_schedule: ['1s', '1s', '2s'] } } },
    ...on
  })
  try {
    const put = (path: string, body: object) => ask(gateway.url, `/v1/shops/${SHOP}/${path}`, body)
    await put(`providers/${PROVIDERS[1]}/connection`, { secrets: { token: 'right-token' }, account_id: 'right', ready: ['back_in_stock', 'preorder'] })
    const load = new Load({ target: () => targetOf(gateway), rate: RATE, file: files.accepted, event: n => eventOf({ id: `e${seed}-${n}`, shop: SHOP, type: n % 3 === 0 ? 'preorder.confirmed' : 'back_in_stock.alert' }) })
    const pause = between(random, 20, 250)
    const until = performance.now() + forMs
    let switches = 0
    while (performance.now() < until || switches < SWITCHES_MIN) {
      await wait(pause())
      await put('channels/sms', { provider: PROVIDERS[++switches % 2] as string })
    }
    await load.stop()
    cuts.share = 0
    await drained(targetOf(gateway), DRAINED_WITHIN_MS)
    if (uncertain === 'repeat') await settled(targetOf(gateway))
    const unknownAt = new Map(await Promise.all(PROVIDERS.map(async provider => [provider, await listDeliveries(targetOf(gateway), { provider, state: 'unknown' })] as const)))
    const listed = await listDeliveries(targetOf(gateway))
    await gateway.kill('SIGKILL')
    return { seed, switches, cut: cuts.count, ...judged(readAccepted(files.accepted), readArrivals(files.received), listed, unknownAt, uncertain) }
  } finally {
    await gateway.kill('SIGKILL')
    await standIn.close()
  }
}

/** Waits until nothing is unknown that is to be sent again: more than a minute. */
async function settled (target: { url: string, apiKey: string }): Promise<void> {
  const until = performance.now() + DRAINED_WITHIN_MS
  while ((await listDeliveries(target, { state: 'unknown' })).some(({ dueAt }) => dueAt !== null) && performance.now() < until) await wait(500)
  await drained(target, DRAINED_WITHIN_MS)
}

function judged (accepted: ReadonlySet<string>, arrivals: readonly Arrival[], listed: readonly Listed[], unknownAt: ReadonlyMap<string, readonly Listed[]>, uncertain: SwitchOptions['uncertain']): Omit<SwitchReport, 'seed' | 'switches' | 'cut'> {
  const placesOf = Map.groupBy(arrivals, ({ ref }) => ref)
  const at = (ref: string) => new Set(placesOf.get(ref)?.map(({ provider }) => provider))
  const delivered = new Set(listed.filter(({ state }) => state === 'delivered').map(({ sourceId }) => sourceId))
  const unknown = [...unknownAt].flatMap(([provider, all]) => all.map(({ sourceId }) => ({ provider, sourceId })))
  return {
    finding: judge(accepted, arrivals, listed),
    listed: listed.length,
    took: Object.fromEntries(PROVIDERS.map(id => [id, arrivals.filter(({ provider }) => provider === id).length])),
    open: unknown.length,
    both: [...placesOf.keys()].filter(ref => at(ref).size > 1),
    hidden: uncertain === 'repeat' ? [] : [...placesOf.keys()].filter(ref => !delivered.has(ref) && !unknown.some(one => one.sourceId === ref)),
    astray: unknown.filter(({ provider, sourceId }) => !at(sourceId).has(provider)).map(({ sourceId }) => sourceId)
  }
}

async function ask (url: string, path: string, body: object): Promise<void> {
  const response = await request(url + path, { method: 'PUT', headers: { authorization: `Bearer ${API_KEY}`, 'content-type': 'application/json' }, body: JSON.stringify(body) })
  const text = await response.body.text()
  if (response.statusCode !== 200) throw new Error(`${path}: ${response.statusCode} ${text}`)
}

/** What may not be, in words; empty is good. */
export function switchFaults ({ finding, listed, took, cut, open, both, hidden, astray }: SwitchReport, { cutShare, uncertain }: Pick<SwitchOptions, 'cutShare' | 'uncertain'>): string[] {
  const { accepted, received, unknown, lost, waiting, doubled, claimedOnly, unexplained, repeatedKeys } = finding
  const sets = { 'reached both': both, hidden, astray, lost, waiting, doubled, 'delivered but never received': claimedOnly, unexplained, ...(uncertain === 'park' && { 'sent again unasked': repeatedKeys }) }
  return [
    ...Object.entries(sets).filter(([, ids]) => ids.length > 0).map(([name, ids]) => some(name, ids)),
    ...(received + unknown.length === accepted ? [] : [`received ${received} and ${unknown.length} unknown are not the ${accepted} accepted`]),
    ...(listed === accepted ? [] : [`${listed} deliveries of ${accepted} events`]),
    ...((uncertain === 'park' ? open === cut : open <= cut) ? [] : [`${open} are unknown, where ${cut} were cut`]),
    ...(cutShare > 0 && cut === 0 ? ['nothing was cut'] : []),
    ...(Math.min(...Object.values(took)) === 0 ? [`one took nothing: ${JSON.stringify(took)}`] : [])
  ]
}

export function switchLine ({ seed, switches, finding: { accepted, received, repeatedKeys }, took, cut, open, both }: SwitchReport): string {
  return `seed ${seed}, ${switches} switches, accepted ${accepted}, received ${received} (${Object.entries(took).map(([id, n]) => `${id} ${n}`).join(', ')}), cut ${cut}, unknown ${open}, sent again ${repeatedKeys.length}, at both ${both.length}`
}
