// The platform's app at a provider, and whether a merchant can be sent there.

import type { Config, Provider } from '../../contract.ts'
import type { App } from './client.ts'

/** The way of a provider that is allowed in the browser; null where it has none. */
export function wayOf (provider: Provider | undefined): { way: string, oauth2: NonNullable<Provider['auth'][string]['oauth2']> } | null {
  for (const [way, { oauth2 }] of Object.entries(provider?.auth ?? {})) if (oauth2 !== undefined) return { way, oauth2 }
  return null
}

/** Of several secrets in rotation the first; null where the config gives no app. */
export function appOf ({ providers }: Config, provider: string): App | null {
  const { client_id: [id] = [], client_secret: [secret] = [] } = providers.find(one => one.id === provider)?.secrets ?? {}
  return id === undefined || secret === undefined ? null : { id: id.reveal(), secret: secret.reveal() }
}

/** Why no merchant can be sent to a provider now; null where one can. */
export function notPossible (provider: Provider, config: Config, publicUrl: string | null): string | null {
  if (appOf(config, provider.id) === null) return `The platform has registered no app with ${provider.title}.`
  if (publicUrl === null) return `${provider.title} could not send the browser back: the operator must set server.public_url.`
  return null
}

/** What a grant lacks of what is needed by now. */
export function missingScopes (provider: Provider | undefined, grant: { scopes: readonly string[] } | null): string[] {
  return grant === null ? [] : wayOf(provider)?.oauth2.scopes.filter(scope => !grant.scopes.includes(scope)) ?? []
}

/** Registered at the provider, character by character. */
export function callbackPath (provider: string): string { return `/oauth/${provider}/callback` }
export function startPath (provider: string): string { return `/oauth/${provider}/start` }
