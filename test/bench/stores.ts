// PostgreSQL beside SQLite, two instances beside one, and what a claim costs beside a large backlog. The database runs on
// the processor of the load generator and the stand-in.

import { startCluster, type Cluster } from '../helpers/postgres.ts'
import type { Listening } from '../helpers/gateway-process.ts'
import { claimMs, type Kind, type Side } from './claims.ts'
import { type Figure, type GatewayOptions, load, type Provider, ratioFigure, SHOP, startGatewayWith, startProvider, type Workspace } from './parts.ts'

export interface CompareOptions { runs: number, quick: boolean, workspace: Workspace }

const SHOPS = 64
/** Few places and a provider that takes its time: an instance is at its end long before the processors are. */
const PLACES = 8
const ANSWER_MS = 40
const CLAIM_RUNS = { few: { waiting: 1000, accounts: 100 }, many: { waiting: 1_000_000, accounts: 100_000 }, quick: { waiting: 50_000, accounts: 5000 } } as const

export async function compareStores (wanted: readonly string[], options: CompareOptions): Promise<Figure[]> {
  const cluster = await startCluster({ settings: { shared_buffers: '256MB', max_wal_size: '4GB' } })
  try {
    const bench = new Comparison(cluster, options)
    return [
      ...wanted.includes('e') ? await bench.endToEnd() : [],
      ...wanted.includes('f') ? await bench.instances() : [],
      ...wanted.includes('g') ? await bench.claims() : []
    ]
  } finally {
    await cluster.close()
  }
}

class Comparison {
  #cluster: Cluster
  #o: CompareOptions
  #databases = 0

  constructor (cluster: Cluster, options: CompareOptions) {
    this.#cluster = cluster
    this.#o = options
  }

  async endToEnd (): Promise<Figure[]> {
    const of: { gateway: number[], baseline: number[] } = { gateway: [], baseline: [] }
    for (let i = 0; i < this.#o.runs; i++) {
      of.baseline.push(await this.#with([{}], (provider, [one]) => deliver(provider, [one as Listening], [SHOP.connected], this.#events)))
      const database = await this.#database()
      of.gateway.push(await this.#with([{ database }], (provider, [one]) => deliver(provider, [one as Listening], [SHOP.connected], this.#events)))
    }
    return [ratioFigure('(e) delivered/s, PostgreSQL against SQLite', of, 0.5)]
  }

  async instances (): Promise<Figure[]> {
    const shops = Array.from({ length: SHOPS }, (_, n) => `s${n + 1}.example`)
    const of: { gateway: number[], baseline: number[] } = { gateway: [], baseline: [] }
    for (let i = 0; i < this.#o.runs; i++) {
      for (const [count, rates] of [[1, of.baseline], [2, of.gateway]] as const) {
        const database = await this.#database()
        const each = Array.from({ length: count }, (_, n): GatewayOptions => ({ database, shops: SHOPS, concurrency: PLACES, core: n }))
        rates.push(await this.#with(each, async (provider, gateways) => {
          await provider.answer(202, { afterMs: ANSWER_MS })
          return await deliver(provider, gateways, shops, this.#o.quick ? 1600 : 6400)
        }))
      }
    }
    return [ratioFigure(`(f) delivered/s, two instances against one (${PLACES} places each, answers in ${ANSWER_MS} ms)`, of, 1.3)]
  }

  async claims (): Promise<Figure[]> {
    const { few, many, quick } = CLAIM_RUNS
    const large = this.#o.quick ? quick : many
    const figures: Figure[] = []
    for (const kind of ['sqlite', 'postgres'] as const) {
      const [short, long] = await claimMs([await this.#side(kind, few), await this.#side(kind, large)]) as [number, number]
      const value = long / short
      figures.push({ name: `(g) ms per claim, ${kind}: ${large.waiting.toLocaleString('en-US')} waiting in ${large.accounts.toLocaleString('en-US')} accounts against 1,000`, gateway: [long], baseline: [short], aim: '<= 1.5', value, shown: `${value.toFixed(2)} (${short.toFixed(2)} and ${long.toFixed(2)} ms)`, met: value <= 1.5 })
    }
    return figures
  }

  get #events (): number { return this.#o.quick ? 5000 : 20_000 }

  async #side (kind: Kind, { waiting, accounts }: { waiting: number, accounts: number }): Promise<Side> {
    return { place: { kind, at: kind === 'sqlite' ? this.#o.workspace.folder() : await this.#database() }, waiting, accounts }
  }

  async #database (): Promise<string> {
    const name = `bench${++this.#databases}`
    await this.#cluster.query(`create database ${name}`)
    return this.#cluster.url(name)
  }

  /** Gateways that share a folder of keys, and a provider, for one measurement. */
  async #with (each: readonly GatewayOptions[], measure: (provider: Provider, gateways: Listening[]) => Promise<number>): Promise<number> {
    const provider = await startProvider()
    const folder = this.#o.workspace.folder()
    const gateways: Listening[] = []
    try {
      for (const options of each) gateways.push(await startGatewayWith(options, provider, folder)) // one after the other: the first makes the keys
      return await measure(provider, gateways)
    } finally {
      for (const gateway of gateways) await gateway.kill('SIGTERM')
      await provider.kill('SIGKILL')
    }
  }
}

/** Delivered per second, from the first post to the last arrival, after a tenth of them to warm up. Each gateway is posted its share. */
async function deliver (provider: Provider, gateways: readonly Listening[], shops: readonly string[], events: number): Promise<number> {
  const post = async (count: number): Promise<number> => {
    const results = await Promise.all(gateways.map(({ url }) => load(url, { shop: shops, connections: 8, batch: 100, events: count / gateways.length })))
    return Math.min(...results.map(result => result.first_at))
  }
  const warmUp = events / 10
  await post(warmUp)
  await provider.until(warmUp)
  await provider.reset()
  const [firstAt, { last_at: lastAt }] = await Promise.all([post(events), provider.until(events)])
  return events / (lastAt - firstAt) * 1000
}
