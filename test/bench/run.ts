// npm run bench: what keeping everything costs, as ratios against programs that keep nothing. Absolute figures are
// the machine's; runs of gateway and baseline alternate, so that a slow minute of the machine meets both.
//
//   npm run bench -- --quick     one run of each, with a smaller backlog
//   npm run bench -- --only a,d  some of the figures

import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { canPin, type Listening } from '../helpers/gateway-process.ts'
import { type Figure, fsyncP50Ms, type Kind, load, median, memoryOf, type Provider, ratioFigure, SHOP, startMeasured, startProvider, Workspace } from './parts.ts'
import { broughtAlong } from './brought.ts'
import { compareStores } from './stores.ts'

const { values: flags } = parseArgs({ options: { quick: { type: 'boolean', default: false }, only: { type: 'string', default: 'a,b,c,d,e,f,g,h' }, runs: { type: 'string' } } })
const RUNS = Number(flags.runs ?? (flags.quick ? 1 : 5))
const SECONDS = flags.quick ? 3 : 4
const WARM_UP_S = 1
const DELIVERED = flags.quick ? 5000 : 20_000
const WAITING_FEW = 1000
const WAITING_MANY = flags.quick ? 50_000 : 1_000_000
/** The provider asks for this pause while a backlog is made. */
const PAUSE_S = 2

const workspace = new Workspace(join(import.meta.dirname, '..', '..', 'data'))

/** One program under test, one measurement, and it is gone. */
async function measure (kind: Kind, provider: Provider, run: (process: Listening) => Promise<number>): Promise<number> {
  const measured = await startMeasured(kind, provider, workspace.folder())
  try {
    return await run(measured)
  } finally {
    await measured.kill('SIGTERM')
    await provider.reset()
  }
}

/** Accepted per second. */
function accepting (shop: string, batch: number, connections: number) {
  return async ({ url }: Listening): Promise<number> =>
    (await load(url, { shop, connections, batch, seconds: SECONDS, warm_up_seconds: WARM_UP_S })).per_second
}

/** Delivered per second, from the first post to the last arrival. */
function delivering (provider: Provider) {
  return async ({ url }: Listening): Promise<number> => {
    const warmUp = DELIVERED / 10
    await load(url, { shop: SHOP.connected, connections: 8, batch: 100, events: warmUp })
    await provider.until(warmUp)
    await provider.reset()
    const [{ first_at: firstAt }, { last_at: lastAt }] = await Promise.all([
      load(url, { shop: SHOP.connected, connections: 8, batch: 100, events: DELIVERED }),
      provider.until(DELIVERED)
    ])
    return DELIVERED / (lastAt - firstAt) * 1000
  }
}

async function alternate (provider: Provider, baseline: Kind, run: (process: Listening) => Promise<number>): Promise<{ gateway: number[], baseline: number[] }> {
  const of: { gateway: number[], baseline: number[] } = { gateway: [], baseline: [] }
  for (let i = 0; i < RUNS; i++) {
    of.baseline.push(await measure(baseline, provider, run))
    of.gateway.push(await measure('gateway', provider, run))
  }
  return of
}

async function figureA (provider: Provider): Promise<Figure[]> {
  const alone = await alternate(provider, 'accept', accepting(SHOP.held, 1, 64))
  const busy: number[] = []
  for (let i = 0; i < RUNS; i++) busy.push(await measure('gateway', provider, accepting(SHOP.connected, 1, 64)))
  return [
    ratioFigure('(a) accepted/s, single posts', alone, 0.35),
    ratioFigure('    the same while delivering', { gateway: busy, baseline: alone.baseline }, null)
  ]
}

async function figureB (provider: Provider): Promise<Figure[]> {
  return [ratioFigure('(b) delivered/s, end to end', await alternate(provider, 'deliver', delivering(provider)), 0.5)]
}

async function figureC (provider: Provider): Promise<Figure[]> {
  const gateway: number[] = []
  for (let i = 0; i < RUNS; i++) gateway.push(await measure('gateway', provider, accepting(SHOP.held, 100, 8)))
  const value = median(gateway)
  return [{ name: '(c) accepted/s, batches of 100', gateway, baseline: null, aim: '>= 20000/s', value, shown: `${Math.round(value)}/s`, met: value >= 20_000 }]
}

/** A gateway whose provider asks it to pause, so that everything posted waits in one live queue. */
class Backlog {
  readonly gateway: Listening
  readonly #provider: Provider

  private constructor (gateway: Listening, provider: Provider) {
    this.gateway = gateway
    this.#provider = provider
  }

  static async make (waiting: number): Promise<Backlog> {
    const provider = await startProvider()
    await provider.answer(429, { retryAfterS: PAUSE_S })
    const backlog = new Backlog(await startMeasured('gateway', provider, workspace.folder()), provider)
    await backlog.post(waiting)
    return backlog
  }

  async post (events: number): Promise<void> {
    await load(this.gateway.url, { shop: SHOP.connected, connections: 8, batch: 100, events })
  }

  /** Posts n, lets the provider take n, and makes it pause again. Delivered per second, first to last arrival. */
  async deliver (n: number): Promise<number> {
    await this.post(n)
    await this.#provider.reset()
    await this.#provider.answer(202)
    const { first_at: firstAt, last_at: lastAt } = await this.#provider.until(n)
    await this.#provider.answer(429, { retryAfterS: PAUSE_S })
    await wait(500) // what was in flight ends
    return n / (lastAt - firstAt) * 1000
  }

  async end (): Promise<void> {
    await this.gateway.kill('SIGTERM')
    await this.#provider.kill('SIGKILL')
  }
}

async function figureD (): Promise<Figure[]> {
  const few = await Backlog.make(WAITING_FEW)
  const many = await Backlog.make(WAITING_MANY)
  const rates: { few: number[], many: number[] } = { few: [], many: [] }
  for (let i = 0; i < RUNS; i++) {
    rates.few.push(await few.deliver(DELIVERED))
    rates.many.push(await many.deliver(DELIVERED))
  }
  const [fewMemory, manyMemory] = [memoryOf(few.gateway.pid), memoryOf(many.gateway.pid)]
  await few.end()
  await many.end()
  const value = median(rates.many) / median(rates.few)
  const off = Math.round((value - 1) * 100)
  return [
    { name: `(d) delivered/s, ${whole(WAITING_MANY)} waiting against ${whole(WAITING_FEW)}`, gateway: rates.many, baseline: rates.few, aim: 'within 15 %', value, shown: `${off >= 0 ? '+' : ''}${off} %`, met: value >= 0.85 },
    { name: `    RSS MB with ${whole(WAITING_MANY)} waiting (peak ${manyMemory.peakMb})`, gateway: [manyMemory.rssMb], baseline: [fewMemory.rssMb], aim: '<= 300 MB', value: manyMemory.rssMb, shown: `${manyMemory.rssMb} MB`, met: manyMemory.rssMb <= 300 }
  ]
}

function whole (value: number): string { return Math.round(value).toLocaleString('en-US') }

function spread (values: number[] | null): string {
  if (values === null) return '-'
  return values.length === 1 ? whole(values[0] as number) : `${whole(median(values))} (${whole(Math.min(...values))}..${whole(Math.max(...values))})`
}

function print (figures: readonly Figure[]): void {
  const rows = [['figure', 'gateway', 'baseline', 'ratio', 'aim', 'met'], ...figures.map(({ name, gateway, baseline, shown, aim, met }) =>
    [name, spread(gateway), spread(baseline), shown, aim, aim === '' ? '' : met ? 'yes' : 'NO'])]
  const widths = (rows[0] as string[]).map((_, column) => Math.max(...rows.map(row => (row[column] as string).length)))
  for (const row of rows) console.log(row.map((cell, column) => cell.padEnd(widths[column] as number)).join('  ').trimEnd())
}

console.log(`${RUNS} runs of each, medians (min..max); fsync p50 of 4 KiB here: ${fsyncP50Ms(workspace.path).toFixed(2)} ms${canPin ? '' : '; taskset is missing, so processes are not bound to processors'}\n`)
const startedAt = performance.now()
const wanted = flags.only.split(',')
const figures: Figure[] = []
try {
  const provider = await startProvider()
  if (wanted.includes('a')) figures.push(...await figureA(provider))
  if (wanted.includes('b')) figures.push(...await figureB(provider))
  if (wanted.includes('c')) figures.push(...await figureC(provider))
  await provider.kill('SIGKILL')
  if (wanted.includes('d')) figures.push(...await figureD())
  if (['e', 'f', 'g'].some(figure => wanted.includes(figure))) figures.push(...await compareStores(wanted, { runs: RUNS, quick: flags.quick, workspace }))
  if (wanted.includes('h')) figures.push(...await broughtAlong({ quick: flags.quick, folder: () => workspace.folder() }))
} finally {
  workspace.remove()
}
print(figures)
console.log(`\n${Math.round((performance.now() - startedAt) / 1000)} s`)
process.exitCode = figures.every(({ met }) => met) ? 0 : 1
