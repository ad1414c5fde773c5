// The programs of the bench and what is measured of them. The program under test has processor 0 for itself;
// load generator and stand-in share processor 1.

import { closeSync, fsyncSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, unlinkSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { once } from 'node:events'
import { request } from 'undici'
import { type Listening, spawnNode, startGatewayProcess, startListening } from '../helpers/gateway-process.ts'
import type { LoadArguments, Result } from './load.ts'

const API_KEY = 'gw_bench_0123456789abcdefghijklmnopqrst'
const MEASURED = 0
const AROUND = 1
const BENCH = 'test/bench'
/** An event that never arrives ends the bench. */
const GIVE_UP_MS = 120_000

/** Shops of gateway.config.yaml: one sends, the other one's messages are held. */
export const SHOP = { connected: 'connected.example', held: 'unconnected.example' } as const

/** The folder of one bench, on the disk that the project lies on: a temporary folder may be memory. */
export class Workspace {
  readonly path: string
  #count = 0

  constructor (root: string) {
    mkdirSync(root, { recursive: true })
    this.path = mkdtempSync(join(root, 'bench-'))
  }

  /** A new data folder. */
  folder (): string {
    const path = join(this.path, String(++this.#count))
    mkdirSync(path)
    return path
  }

  remove (): void { rmSync(this.path, { recursive: true, force: true }) }
}

export interface Counted { count: number, first_at: number, last_at: number }

export interface Provider extends Listening {
  reset (): Promise<void>
  /** Resolves when n more arrived since the last reset. */
  until (n: number): Promise<Counted>
  /** What it answers from now on, and how long that takes; 202 is counted, nothing else is. */
  answer (status: number, more?: { retryAfterS?: number, afterMs?: number }): Promise<void>
}

export async function startProvider (): Promise<Provider> {
  const process = await startListening({ args: [`${BENCH}/stand-in.ts`], core: AROUND })
  const control = async (method: 'GET' | 'POST', path: string): Promise<unknown> => {
    const response = await request(`${process.url}/control/${path}`, { method, headersTimeout: GIVE_UP_MS, bodyTimeout: 0 })
    return await response.body.json()
  }
  return Object.assign(process, {
    async reset () { await control('POST', 'reset') },
    async until (n: number) { return await control('GET', `until?n=${n}`) as Counted },
    async answer (status: number, { retryAfterS, afterMs = 0 }: { retryAfterS?: number, afterMs?: number } = {}) {
      await control('POST', `answer?status=${status}&after_ms=${afterMs}${retryAfterS === undefined ? '' : `&retry_after=${retryAfterS}`}`)
    }
  })
}

export type Kind = 'gateway' | 'accept' | 'deliver'

export interface GatewayOptions {
  /** URL of an empty database, instead of a file in the folder. */
  database?: string
  /** So many shops more, each with an account of its own: `s1.example` … */
  shops?: number
  /** Requests at once, instead of the manifest's. */
  concurrency?: number
  /** Processor, instead of the one that is measured. */
  core?: number
}

/** The bench's config with other parts. */
function configText ({ database, shops = 0, concurrency }: GatewayOptions): string {
  const root = join(import.meta.dirname, '..', '..')
  const text = readFileSync(join(import.meta.dirname, 'gateway.config.yaml'), 'utf8')
    .replaceAll('../../schemas', join(root, 'schemas'))
    .replace('bench: { path: provider }', `bench: { path: ${join(import.meta.dirname, 'provider')}${concurrency === undefined ? '' : `, concurrency: ${concurrency}`} }`)
  const stored = database === undefined ? text : text.replace(/^store:\n(?: .*\n)+/m, 'store: { driver: postgres, url: { env: DATABASE_URL } }\n')
  const more = Array.from({ length: shops }, (_, n) => `  - { id: s${n + 1}.example, name: S, domain: s.example, plan: pro, connections: [{ provider: bench, secrets: { api_key: { env: BENCH_API_KEY } }, account_id: account-${n + 1}, ready: [back_in_stock] }] }\n`)
  return stored.trimEnd() + '\n' + more.join('')
}

/** The gateway with other parts than the shipped ones. */
export async function startGatewayWith (options: GatewayOptions, provider: Provider, dataDir: string): Promise<Listening> {
  const env = { STAND_IN_URL: provider.url, BENCH_API_KEY: API_KEY, GATEWAY_DATA: dataDir, DATABASE_URL: options.database }
  return await startGatewayProcess({ config: { text: configText(options) }, dataDir, env, core: options.core ?? MEASURED, nodeArgs: profiling() })
}

/** The gateway, or a baseline that keeps nothing. */
export async function startMeasured (kind: Kind, provider: Provider, dataDir: string): Promise<Listening> {
  const env = { STAND_IN_URL: provider.url, BENCH_API_KEY: API_KEY, GATEWAY_DATA: dataDir }
  if (kind === 'gateway') return await startGatewayProcess({ config: { file: `${BENCH}/gateway.config.yaml` }, dataDir, env, core: MEASURED, nodeArgs: profiling() })
  return await startListening({ args: [`${BENCH}/baseline.ts`, kind], env, core: MEASURED })
}

/** BENCH_PROFILE names a folder for CPU profiles of the gateway. */
function profiling (): string[] {
  const dir = process.env['BENCH_PROFILE']
  return dir === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${dir}`]
}

let runs = 0

/** One run of the load generator. */
export async function load (url: string, more: Omit<LoadArguments, 'url' | 'api_key' | 'prefix'>): Promise<Result> {
  const args: LoadArguments = { url, api_key: API_KEY, prefix: `run${++runs}`, ...more }
  const child = spawnNode({ args: [`${BENCH}/load.ts`, JSON.stringify(args)], core: AROUND })
  let out = ''
  let errors = ''
  child.stdout?.on('data', (chunk: Buffer) => { out += chunk.toString() })
  child.stderr?.on('data', (chunk: Buffer) => { errors += chunk.toString() })
  await once(child, 'close')
  if (out === '') throw new Error(`the load generator ended without a result: ${errors}`)
  const result = JSON.parse(out) as Result
  if (result.other > 0) throw new Error(`${result.other} answers were no acceptance: ${out}`)
  return result
}

export interface Memory { rssMb: number, peakMb: number }

/** Resident memory of a process, where /proc tells it. */
export function memoryOf (pid: number): Memory {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const mb = (name: string): number => Math.round(Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(status)?.[1]) / 1024)
  return { rssMb: mb('VmRSS'), peakMb: mb('VmHWM') }
}

/** Milliseconds that half of the fsyncs of a 4 KiB write need at most. */
export function fsyncP50Ms (dir: string): number {
  const path = join(dir, 'fsync')
  const file = openSync(path, 'w')
  const block = Buffer.alloc(4096, 1)
  const times = Array.from({ length: 500 }, () => {
    const startedAt = performance.now()
    writeSync(file, block)
    fsyncSync(file)
    return performance.now() - startedAt
  })
  closeSync(file)
  unlinkSync(path)
  return median(times)
}

export function median (values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] as number : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2
}

export interface Figure { name: string, gateway: number[], baseline: number[] | null, aim: string, value: number, shown: string, met: boolean }

export function ratioFigure (name: string, { gateway, baseline }: { gateway: number[], baseline: number[] }, aim: number | null): Figure {
  const value = median(gateway) / median(baseline)
  return { name, gateway, baseline, aim: aim === null ? '' : `>= ${aim}`, value, shown: value.toFixed(2), met: aim === null || value >= aim }
}
