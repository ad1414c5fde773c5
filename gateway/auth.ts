// Who is calling: API keys with scopes, each for named shops or all. Every route names its scope; one that names none is closed.

import { hash as digest } from 'node:crypto'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { ApiKeyConfig, Scope } from './contract.ts'
import { GatewayError } from './errors.ts'

export interface Caller {
  id: string
  scopes: readonly Scope[]
  shops: readonly string[] | '*'
  mayUse (shop: string): boolean
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The scope a caller needs; `public` lets anyone in. */
    scope?: Scope | 'public'
  }
  interface FastifyRequest { caller: Caller | null }
  interface FastifyInstance { openToAll?: true }
}

/** Looked up by hash: how long that takes tells nothing of the key. */
export function authenticate (app: FastifyInstance, keys: readonly ApiKeyConfig[]): void {
  const callers = new Map(keys.map(key => [hash(key.key.reveal()), callerOf(key)]))
  app.decorateRequest('caller', null)
  app.addHook('onRoute', function (route) {
    if (this.openToAll) route.config = { ...route.config, scope: 'public' }
    else if (route.config?.scope === undefined) throw new Error(`the route ${route.url} names no scope`)
  })
  app.addHook('onRequest', async request => {
    const { scope } = request.routeOptions.config
    if (scope === 'public' || request.is404) return
    const [kind, token] = (request.headers.authorization ?? '').split(' ')
    const caller = kind?.toLowerCase() === 'bearer' && token ? callers.get(hash(token)) : undefined
    if (!caller) throw new GatewayError('GW_UNAUTHENTICATED', 'No valid API key was sent.')
    if (scope === undefined || !caller.scopes.includes(scope)) throw new GatewayError('GW_FORBIDDEN', `This API key lacks the scope "${scope ?? 'none'}".`)
    request.caller = caller
  })
}

/** All routes made in this scope ask for no API key: what is called there proves by itself who is calling. */
export function openToAll (scope: FastifyInstance): void { scope.decorate('openToAll', true) }

export function callerOfRequest (request: FastifyRequest): Caller {
  if (!request.caller) throw new Error('the route let somebody in without asking who it is')
  return request.caller
}

function callerOf (key: ApiKeyConfig): Caller {
  const { id, scopes, shops } = key
  const named = shops === '*' ? null : new Set(shops)
  return { id, scopes, shops, mayUse: shop => named === null || named.has(shop) }
}

function hash (token: string): string { return digest('sha256', token, 'base64') }
