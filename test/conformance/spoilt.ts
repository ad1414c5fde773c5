// Bodies of requests, spoilt at their top, as a provider must not take them.

import type { PreparedRequest } from '../../gateway/contract.ts'

type Body = Pick<PreparedRequest, 'body' | 'headers'>

/** What a request is sent with instead, and how it is spoilt. */
export type Spoilt = Body & { what: string }

/** Names of a body's keys at its top; none where there is no body. */
export function keysOf ({ headers, body }: Body): string[] {
  if (body === null) return []
  return isForm(headers) ? [...new Set(new URLSearchParams(body).keys())] : Object.keys(JSON.parse(body) as object)
}

/** The body without one of its keys, each in turn. */
export function without (request: Body): Array<Body & { key: string }> {
  return keysOf(request).map(key => ({ key, headers: request.headers, body: isForm(request.headers) ? formWith(request, key, null) : jsonWith(request, key, undefined) }))
}

/** A key more, values that cannot be, and no body of its kind at all. */
export function broken (request: Body): Spoilt[] {
  const { headers, body } = request
  if (body === null) return []
  const as = (what: string, body: string): Spoilt => ({ what, headers, body })
  return [as('no body', ''), ...isForm(headers) ? brokenForm(request, as) : brokenJson(request, as)]
}

type As = (what: string, body: string) => Spoilt

function brokenForm (request: Body, as: As): Spoilt[] {
  const { headers, body } = request
  const pairs = new URLSearchParams(body as string)
  const json = JSON.stringify(Object.fromEntries(pairs))
  return [
    ...keysOf(request).flatMap(key => [as(`${key} empty`, formWith(request, key, '')), as(`${key} with a control character`, formWith(request, key, `${pairs.get(key)}\u0007`))]),
    as('a key more', `${body}&zzz=1`),
    as('JSON instead of a form', json),
    { ...as('JSON that says so', json), headers: { ...headers, 'content-type': 'application/json' } }
  ]
}

function brokenJson (request: Body, as: As): Spoilt[] {
  const body = request.body as string
  const data = JSON.parse(body) as Record<string, unknown>
  return [
    ...keysOf(request).map(key => as(`${key} of another kind`, jsonWith(request, key, typeof data[key] === 'number' ? 'seven' : 7))),
    as('a key more', jsonWith(request, 'zzz', 1)),
    ...['[]', 'null', '"text"'].map(other => as(`${other} instead of an object`, other)),
    as('half of a body', body.slice(0, -1))
  ]
}

function isForm (headers: Body['headers']): boolean {
  return (headers['content-type'] ?? '').startsWith('application/x-www-form-urlencoded')
}

function formWith ({ body }: Body, key: string, value: string | null): string {
  const pairs = new URLSearchParams(body as string)
  if (value === null) pairs.delete(key)
  else pairs.set(key, value)
  return pairs.toString()
}

function jsonWith ({ body }: Body, key: string, value: unknown): string {
  return JSON.stringify({ ...JSON.parse(body as string) as object, [key]: value })
}
