// Who is called from outside, and with what they are given: sources, and providers that have call-back routes.

import type { Config, InboundContext, Provider, ProviderWebhooks, Runtime, Secret, SourceContext, Store } from './contract.ts'
import type { Logger } from './observe/log.ts'
import type { Webhooks } from './shops/webhooks/webhooks.ts'
import type { Inbox, Translator } from './sources/inbox.ts'
import type { Inbound } from './sources/webhooks.ts'
import type { Working } from './sourcing.ts'
import { understood } from './understanding.ts'

export interface InboundParts {
  config: Config
  /** Sources as they work. */
  working: ReadonlyMap<string, Working>
  providers: ReadonlyMap<string, Provider>
  inbox: Inbox
  webhooks: Webhooks
  store: Store
  runtime: Runtime
  log: Logger
  /** What stands for a phone number. */
  person (phone: string): Uint8Array
}

/** A source's rows are worked on, and so is what a provider tells of accounts; what its own routes receive is worked on where its code understands it, and else recorded. */
export function inboundsOf (parts: InboundParts): { inbounds: Inbound[], translators: Map<string, Translator> } {
  const inbounds: Inbound[] = []
  const translators = new Map<string, Translator>()
  for (const [id, { source: { code }, context }] of parts.working) {
    const { routes, translate } = code
    const receive: InboundContext['receive'] = received => parts.inbox.receive(id, 'received', received)
    if (routes) inbounds.push({ id, routes: app => routes(app, Object.assign(Object.create(context) as SourceContext, { receive })) })
    if (translate) translators.set(id, { id, translate: received => translate(received, context) })
  }
  for (const provider of parts.providers.values()) {
    const { id, code, comingSoon, options } = provider
    const secrets = parts.config.providers.find(provider => provider.id === id)?.secrets ?? {}
    const { routes } = code
    if (!routes || comingSoon) continue
    const context = contextOf(id, options, secrets, code.understand ? 'received' : 'recorded', parts)
    inbounds.push({ id, routes: app => routes(app, context) })
    if (code.understand) translators.set(id, { id, translate: received => understood(received, provider, context, parts) })
  }
  for (const provider of parts.providers.values()) {
    const { id, comingSoon, options } = provider
    if (!tells(provider) || comingSoon) continue
    const context = contextOf(id, options, {}, 'received', parts)
    inbounds.push({ id, routes: app => { parts.webhooks.routes(app, provider, context) } })
    translators.set(id, { id, translate: received => parts.webhooks.understood(received, provider) })
  }
  return { inbounds, translators }
}

function tells (provider: Provider): provider is Provider & { webhooks: ProviderWebhooks } { return provider.webhooks !== undefined }

function contextOf (id: string, options: Record<string, unknown>, secrets: Record<string, Secret[]>, to: 'received' | 'recorded', { config, inbox, runtime, log }: InboundParts): InboundContext {
  return {
    id,
    options,
    secrets: Object.fromEntries(Object.entries(secrets).map(([name, several]) => [name, several.map(secret => secret.reveal())])),
    publicUrl: config.server.publicUrl,
    now: runtime.now,
    receive: received => inbox.receive(id, to, received),
    warn: (fields, message) => { log.warn({ ...fields, from: id }, message) }
  }
}
