// What an answer of a token endpoint must be, beyond what the library looks at.

/** A life outside of this is not believed, and this long is assumed instead: a token that ends sooner is refused, and renewed then. */
const LIFE_S = { least: 60, most: 31_536_000, assumed: 3600 }
const TOKEN = /^[!-~]{1,4096}$/
const SCOPES_MAX = 200

/** `refreshToken` null: the one before stays. `scopes` null: as asked for, or as before. */
export interface Tokens { accessToken: string, refreshToken: string | null, lifeMs: number, scopes: string[] | null }

/** The answer cannot be used. */
export class TokensRefused extends Error {}

/**
 * The body, without a life that is not believed: the tokens beside it may be the only ones there are from now on.
 * `warn` is told, without any of the body.
 */
export function tidied ({ status, body }: { status: number, body: string }, warn: (message: string) => void): string {
  if (status !== 200) return body
  const json = parsed(body)
  if (json === null) return body
  const { expires_in: life, ...rest } = json
  if (typeof life === 'number' && Number.isInteger(life) && life >= LIFE_S.least && life <= LIFE_S.most) return body
  warn(`an answer with tokens says ${life === undefined ? 'nothing' : 'nothing usable'} of their life; ${LIFE_S.assumed} s are assumed`)
  return JSON.stringify(rest)
}

/** `first`: the answer to a code, which must bring a refresh token. Throws TokensRefused. */
export function tokensOf (answer: { access_token: string, token_type: string, expires_in?: number | undefined, refresh_token?: string | undefined, scope?: string | undefined }, { first }: { first: boolean }): Tokens {
  const { access_token: accessToken, token_type: type, expires_in: life = LIFE_S.assumed, refresh_token: refreshToken = null, scope } = answer
  if (type.toLowerCase() !== 'bearer') throw new TokensRefused('the token is of another type than bearer')
  if (!TOKEN.test(accessToken) || (refreshToken !== null && !TOKEN.test(refreshToken))) throw new TokensRefused('a token has no usable form')
  if (first && refreshToken === null) throw new TokensRefused('there is no refresh token')
  const scopes = scope?.split(' ').filter(one => one !== '').slice(0, SCOPES_MAX)
  return { accessToken, refreshToken, lifeMs: life * 1000, scopes: scopes ?? null }
}

function parsed (body: string): Record<string, unknown> | null {
  try {
    const json = JSON.parse(body) as unknown
    return json !== null && typeof json === 'object' && !Array.isArray(json) ? json as Record<string, unknown> : null
  } catch {
    return null
  }
}
