// Speaks HTTP to the running gateway.

import { GatewayError } from '../errors.ts'
import type { Config, Detail } from '../contract.ts'
import type { Call } from './command.ts'
import { Problem } from './problem.ts'

const TIMEOUT_MS = 30_000

export interface Ask {
  method?: 'GET' | 'POST'
  /** Values that are undefined are left out. */
  query?: Readonly<Record<string, string | undefined>>
  body?: unknown
  contentType?: string
}

/** Asks a route of the gateway and gives the JSON of its answer. Throws Problem, or GW_UNREACHABLE. */
export type Client = <T>(path: string, ask?: Ask) => Promise<T>

/** A client for the gateway that the options, the environment or the config name. Throws GW_USAGE without a key. */
export async function connect (call: Call): Promise<Client> {
  const { url, key } = await target(call)
  return async (path, { method = 'GET', query = {}, body, contentType = 'application/json' } = {}) => {
    const address = new URL(`${url}${path}`)
    for (const [name, value] of Object.entries(query)) if (value !== undefined) address.searchParams.set(name, value)
    const headers = { authorization: `Bearer ${key}`, accept: 'application/json', ...(body === undefined ? {} : { 'content-type': contentType }) }
    const request = { method, headers, redirect: 'manual' as const, signal: AbortSignal.timeout(TIMEOUT_MS), ...(body === undefined ? {} : { body: JSON.stringify(body) }) }
    return await read(await reach(address, request), url)
  }
}

async function reach (address: URL, request: RequestInit): Promise<Response> {
  try {
    return await fetch(address, request)
  } catch (error) {
    throw new GatewayError('GW_UNREACHABLE', `Nothing answers at ${address.origin} (${reasonOf(error)})`, { cause: error })
  }
}

async function read<T> (response: Response, url: string): Promise<T> {
  const text = await response.text().catch(() => '')
  const answer = json(text)
  if (answer === undefined) throw new GatewayError('GW_UNREACHABLE', `What answers at ${url} is no gateway (status ${response.status})`)
  if (response.ok) return answer as T
  throw refusal(answer, response.status, url)
}

function refusal (answer: unknown, status: number, url: string): Error {
  const error = (answer as { error?: Record<string, unknown> } | null)?.error
  if (typeof error?.['code'] !== 'string') return new GatewayError('GW_UNREACHABLE', `What answers at ${url} is no gateway (status ${status})`)
  return new Problem({
    code: error['code'],
    message: String(error['message'] ?? `The gateway answered ${status}`),
    fix: String(error['fix'] ?? ''),
    requestId: typeof error['request_id'] === 'string' ? error['request_id'] : null,
    details: Array.isArray(error['details']) ? error['details'] as Detail[] : []
  })
}

interface Target { url: string, key: string }

async function target (call: Call): Promise<Target> {
  const { env } = call.io
  const url = call.text('url') ?? (env['GATEWAY_URL'] || null)
  const key = call.text('key') ?? (env['GATEWAY_API_KEY'] || null)
  if (url !== null) checkUrl(url)
  if (url !== null && key !== null) return { url: trimmed(url), key }
  // The key of this machine's config is for this machine's gateway, and is shown to no other.
  if (url !== null && !isLoopback(url)) throw new GatewayError('GW_USAGE', 'A gateway elsewhere needs its API key: --key, or GATEWAY_API_KEY')
  const config = await localConfig(call)
  return { url: trimmed(url ?? urlOf(config)), key: key ?? firstKey(config) }
}

async function localConfig (call: Call): Promise<Config> {
  const { loadConfig } = await import('../config/load.ts')
  const { config, faults } = await loadConfig({ file: call.file, cwd: call.io.cwd, env: call.io.env, createSecrets: false })
  if (config !== null) return config
  const { FaultsFound } = await import('../load.ts')
  throw new FaultsFound(faults)
}

function firstKey ({ security: { apiKeys } }: Config): string {
  const [first] = apiKeys
  if (first === undefined) throw new GatewayError('GW_USAGE', 'The config declares no API key: give --key, or GATEWAY_API_KEY')
  try {
    return first.key.reveal()
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error
    throw new Problem({ code: 'GW_UNREACHABLE', message: 'The gateway was never started here: its first start makes the API key', fix: 'Start the gateway, or give --url and --key of another one.' })
  }
}

function urlOf ({ server: { host, port } }: Config): string {
  if (port === 0) throw new GatewayError('GW_USAGE', 'The config\'s server.port is 0, so the address is not known: give --url, or GATEWAY_URL')
  if (host === '0.0.0.0' || host === '::') return `http://127.0.0.1:${port}`
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`
}

function checkUrl (url: string): void {
  if (!/^https?:\/\//i.test(url) || !URL.canParse(url)) throw new GatewayError('GW_USAGE', `--url takes an address such as http://127.0.0.1:8080, not "${url}"`)
}

function isLoopback (url: string): boolean {
  return /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/.test(new URL(url).hostname)
}

function trimmed (url: string): string {
  return url.replace(/\/+$/, '')
}

function json (text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function reasonOf (error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  if (cause instanceof Error && 'code' in cause && typeof cause.code === 'string') return cause.code
  return cause instanceof Error ? cause.message : String(cause)
}
