// Ways of authorization by OAuth: what a manifest says of them, and where they are with a sandbox.

import type { OAuth2, Provider } from '../contract.ts'
import { step } from '../json-pointer.ts'
import { secretFields, type Manifest, type OAuth2Source, type StepSource } from './manifest.ts'
import { known, type Report } from './report.ts'

/** The only secret of such a way that its headers may read. */
const TOKEN = 'access_token'
/** What the platform is given when it registers an app, as the config calls it. */
const CLIENT = ['client_id', 'client_secret'] as const

/** The ways, with the sandbox's address in place of the provider's where there is one. */
export function compileWays (manifest: Manifest, playedAt: string | null): Provider['auth'] {
  return Object.fromEntries(Object.entries(manifest.auth).map(([way, { headers, examples = {}, oauth2 }]) =>
    [way, { fields: secretFields(headers), examples, ...(oauth2 && { oauth2: moved(compiled(oauth2), playedAt) }) }]))
}

/** The provider as it is reached at a sandbox. */
export function playedAt (provider: Provider, url: string): Provider {
  const auth = Object.fromEntries(Object.entries(provider.auth).map(([way, { oauth2, ...rest }]) => [way, { ...rest, ...(oauth2 && { oauth2: moved(oauth2, url) }) }]))
  return { ...provider, baseUrl: url, auth }
}

/** Names of the secrets that the config may give for the platform's app; none where no way needs one. */
export function clientSecrets ({ auth }: Manifest): readonly string[] {
  return Object.values(auth).some(({ oauth2 }) => oauth2 !== undefined) ? CLIENT : []
}

/** Every fault of the ways by OAuth that the manifest's schema lets through. */
export function checkOAuth (manifest: Manifest, report: Report): void {
  const ways = Object.entries(manifest.auth).filter(([, { oauth2 }]) => oauth2 !== undefined)
  ways.forEach(([way, { headers }], i) => {
    const at = `/auth${step(way)}`
    for (const field of secretFields(headers)) if (field !== TOKEN) report(`${at}/headers`, `of OAuth there is no secret.${field}`, `Read secret.${TOKEN}.`, 'GW_CONFIG_REFERENCE', true)
    if (i > 0) report(`${at}/oauth2`, 'another way has oauth2 already', 'Keep one of the two.', 'GW_CONFIG_DUPLICATE', true)
    if (manifest.connection === 'gateway') report(`${at}/oauth2`, 'a merchant would be asked, and the account is the platform\'s', 'Remove it, or let "connection" be shop.', 'GW_CONFIG_VALUE', true)
    else if (!manifest.setup.some(one => one.kind === 'oauth2' && one.auth === way)) report(`${at}/oauth2`, 'no set-up step connects by it', `Add a step of kind oauth2 with auth: ${way}.`, 'GW_CONFIG_REFERENCE', true)
  })
}

/** A step by OAuth names a way by OAuth and learns whose account it is; a step that asks for secrets names any other. */
export function checkOAuthStep ({ auth }: Manifest, { kind, auth: way = Object.keys(auth)[0] as string, check }: StepSource, at: string, report: Report): void {
  const oauth2 = Object.hasOwn(auth, way) ? auth[way]?.oauth2 : undefined
  if (kind === 'api_key' && oauth2 !== undefined) report(at, `"${way}" is not typed in but allowed in the browser`, 'Let the step be of kind oauth2, or name another way.', 'GW_CONFIG_VALUE')
  if (kind !== 'oauth2') return
  const possible = Object.fromEntries(Object.entries(auth).filter(([, one]) => one.oauth2 !== undefined))
  if (Object.hasOwn(auth, way) && oauth2 === undefined) report(`${at}/auth`, `the way "${way}" has no oauth2`, known(possible))
  if (check !== undefined && check.save?.account_id === undefined) report(`${at}/check`, 'its tokens change, and nothing says whose account it is', 'Add save: { account_id: <JSON pointer into the answer> }.', 'GW_CONFIG_MISSING_KEY', true)
}

function compiled ({ authorize_url: authorizeUrl, token_url: tokenUrl, revoke_url: revokeUrl, scopes }: OAuth2Source): OAuth2 {
  return { authorizeUrl, tokenUrl, revokeUrl: revokeUrl ?? null, scopes }
}

/** Other hosts become one, and the paths stay. */
function moved (oauth2: OAuth2, to: string | null): OAuth2 {
  if (to === null) return oauth2
  const { authorizeUrl, tokenUrl, revokeUrl, scopes } = oauth2
  const at = (url: string): string => `${to}${new URL(url).pathname}`
  return { authorizeUrl: at(authorizeUrl), tokenUrl: at(tokenUrl), revokeUrl: revokeUrl === null ? null : at(revokeUrl), scopes }
}
