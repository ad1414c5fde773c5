// How Shopify signs what it sends: base64 of HMAC-SHA256 over the body's bytes, keyed with the app's client secret.

import { createHmac, timingSafeEqual } from 'node:crypto'

/** 32 bytes in base64, padded. */
const SHAPE = /^[A-Za-z0-9+/]{43}=$/
/** As long as a signature and equal to none, so that one without a signature takes the same way and time. */
const NONE = '\0'.repeat(44)

export function sign (secret: string, body: Uint8Array): string {
  return createHmac('sha256', secret).update(body).digest('base64')
}

/** Whether a signature is right for one of the secrets. Each of them is compared, in constant time. */
export function isSigned (given: unknown, secrets: readonly string[], body: Uint8Array): boolean {
  const candidate = Buffer.from(typeof given === 'string' && SHAPE.test(given) ? given : NONE, 'latin1')
  let right = false
  for (const secret of secrets) {
    const equal = timingSafeEqual(candidate, Buffer.from(sign(secret, body), 'latin1'))
    if (equal && secret !== '') right = true
  }
  return right
}
