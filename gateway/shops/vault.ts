// Secrets at rest: AES-256-GCM, bound to shop, provider, field, key and version, so that a sealed secret
// moved to another row opens nowhere.

import { createCipheriv, createDecipheriv, createHmac, createSecretKey, randomBytes } from 'node:crypto'
import type { Secret } from '../contract.ts'
import { GatewayError } from '../errors.ts'

const NONCE_BYTES = 12
const TAG_BYTES = 16
const VERSION = 1

export interface Place { shop: string, provider: string, field: string }
export interface Sealed { keyId: string, version: number, sealed: Uint8Array }

export interface Vault {
  seal (place: Place, text: string): Sealed
  /** Throws GW_STORE_UNUSABLE when the key is gone or the place is another one. */
  open (place: Place, sealed: Sealed): string
  /** A keyed fingerprint: the same for the same text, telling nothing of it. 16 bytes. */
  fingerprint (purpose: string, text: string): Buffer
  /** 256 bits that nobody can guess, base64url. */
  token (): string
}

/** The first key seals, all of them open. */
export function createVault (keys: Array<{ id: string, key: Secret }>, personKey: Secret): Vault {
  const ring = new Map(keys.map(({ id, key }) => [id, Buffer.from(key.reveal(), 'base64url')]))
  const current = (keys[0] as { id: string }).id
  const printKey = createSecretKey(Buffer.from(personKey.reveal(), 'base64url')) // given as bytes, it would be made anew for each event
  const bound = (place: Place, keyId: string, version: number) => Buffer.from(JSON.stringify([place.shop, place.provider, place.field, keyId, version]))

  return {
    seal (place, text) {
      const nonce = randomBytes(NONCE_BYTES)
      const cipher = createCipheriv('aes-256-gcm', ring.get(current) as Buffer, nonce, { authTagLength: TAG_BYTES })
      cipher.setAAD(bound(place, current, VERSION))
      const body = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()])
      return { keyId: current, version: VERSION, sealed: Buffer.concat([nonce, cipher.getAuthTag(), body]) }
    },
    open (place, { keyId, version, sealed }) {
      const key = ring.get(keyId)
      const where = `the secret "${place.field}" of ${place.shop} at ${place.provider}`
      if (!key) throw new GatewayError('GW_STORE_UNUSABLE', `The encryption key "${keyId}", which sealed ${where}, is not among security.encryption_keys.`)
      try {
        const bytes = Buffer.from(sealed)
        const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES })
        decipher.setAAD(bound(place, keyId, version))
        decipher.setAuthTag(bytes.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES))
        return Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES + TAG_BYTES)), decipher.final()]).toString('utf8')
      } catch (cause) {
        throw new GatewayError('GW_STORE_UNUSABLE', `${where} cannot be opened: it was changed, moved, or sealed with another key of this id.`, { cause })
      }
    },
    fingerprint: (purpose, text) => createHmac('sha256', printKey).update(`${purpose}\0${text}`).digest().subarray(0, 16),
    token: () => randomBytes(32).toString('base64url')
  }
}
