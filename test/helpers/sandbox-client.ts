// A sandbox by itself, and a way to ask it with everything in order but what is given.

import { startSandbox } from '../../gateway/providers/sandbox.ts'
import type { Provider } from '../../gateway/contract.ts'

export interface Sent { status: number, type: string | null, headers: Record<string, string>, text: string, json: unknown }

/** `value` is sent as JSON, `form` as a form, `body` as it is; a header that is undefined is left out. */
export interface Asking { headers?: Record<string, string | undefined>, value?: unknown, form?: Record<string, string>, body?: string }

export interface SandboxClient {
  send (method: string, path: string, asking?: Asking): Promise<Sent>
  /** What the sandbox tells of itself, such as `requests`. */
  inspect (what: string): Promise<unknown>
  /** Orders something below /_sandbox; answers what was answered. */
  order (what: string, value: object, method?: string): Promise<Sent>
  close (): Promise<void>
}

/**
 * `headers` go along always, `content-type` only with a body. No window fills unless `now` is given; `wallNow` is the
 * real time unless given.
 */
export async function sandboxClient (provider: Provider, headers: Record<string, string>, clocks: { now?: () => number, wallNow?: () => number } = {}): Promise<SandboxClient> {
  let farApart = 0
  const { url, close } = await startSandbox({ providers: [provider], port: 0, now: () => { farApart += 86_400_001; return farApart }, ...clocks })
  const base = `${url}/${provider.id}`
  async function send (method: string, path: string, { headers: other = {}, value, form, body }: Asking = {}): Promise<Sent> {
    const bytes = body ?? (form === undefined ? value === undefined ? null : JSON.stringify(value) : new URLSearchParams(form).toString())
    const { 'content-type': type = 'application/json', ...always } = headers
    const typed = bytes === null ? {} : { 'content-type': form === undefined ? type : 'application/x-www-form-urlencoded' }
    const all = Object.entries({ ...always, ...typed, ...other }).filter((pair): pair is [string, string] => pair[1] !== undefined)
    const answer = await fetch(base + path, { method, headers: all, body: bytes, redirect: 'manual' })
    const text = await answer.text()
    return { status: answer.status, type: answer.headers.get('content-type'), headers: Object.fromEntries(answer.headers), text, json: jsonOf(text) }
  }
  return {
    send,
    inspect: async what => (await fetch(`${base}/_sandbox/${what}`)).json(),
    order: (what, value, method = 'POST') => send(method, `/_sandbox/${what}`, { value, headers: { 'content-type': 'application/json' } }),
    close
  }
}

function jsonOf (text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
