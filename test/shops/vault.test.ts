import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import t from 'tap'
import type { Secret } from '../../gateway/contract.ts'
import { createVault } from '../../gateway/shops/vault.ts'

const secret = (text = randomBytes(32).toString('base64url')): Secret => ({ reveal: () => text, file: null })
const personKey = secret()
const k1 = { id: 'k1', key: secret() }
const k2 = { id: 'k2', key: secret() }
const place = { shop: 'acme.example', provider: 'alpha', field: 'api_key' }
const TEXT = 'pk_live_0123456789'
const REFUSED = { code: 'GW_STORE_UNUSABLE' }

t.test('what is sealed opens at its place, and reads like nothing', async t => {
  const vault = createVault([k1], personKey)
  const sealed = vault.seal(place, TEXT)
  t.equal(vault.open(place, sealed), TEXT)
  t.notOk(Buffer.from(sealed.sealed).includes(TEXT))
  t.equal(sealed.sealed.length, 12 + 16 + TEXT.length)
  t.notSame(vault.seal(place, TEXT).sealed, sealed.sealed, 'a nonce of its own each time')
  t.equal(vault.open(place, vault.seal(place, '')), '')
})

t.test('#78: it opens at no other place, under no other key or version', async t => {
  const vault = createVault([k1, k2], personKey)
  const sealed = vault.seal(place, TEXT)
  for (const other of [{ shop: 'globex.example' }, { provider: 'beta' }, { field: 'token' }, { shop: 'acme.example"', provider: '' }]) {
    t.throws(() => vault.open({ ...place, ...other }, sealed), REFUSED, JSON.stringify(other))
  }
  for (const other of [{ keyId: 'k2' }, { keyId: 'k3' }, { version: 2 }]) t.throws(() => vault.open(place, { ...sealed, ...other }), REFUSED, JSON.stringify(other))
  const another = createVault([{ id: 'k1', key: secret() }], personKey)
  t.throws(() => another.open(place, sealed), REFUSED, 'another key of the same id')
})

t.test('#79: a bit that was changed, a tag that was cut, or nothing at all is refused', async t => {
  const vault = createVault([k1], personKey)
  const { sealed, ...rest } = vault.seal(place, TEXT)
  for (const at of [0, 11, 12, 27, 28, sealed.length - 1]) {
    const changed = Buffer.from(sealed)
    changed[at] = (changed[at] as number) ^ 1
    t.throws(() => vault.open(place, { ...rest, sealed: changed }), REFUSED, `byte ${at}`)
  }
  for (const length of [0, 4, 12, 16, 27, 28]) t.throws(() => vault.open(place, { ...rest, sealed: sealed.slice(0, length) }), REFUSED, `${length} bytes`)
})

t.test('#79: a short tag is no tag: what Node would let pass with four bytes does not open', async t => {
  const vault = createVault([k1], personKey)
  const key = Buffer.from(k1.key.reveal(), 'base64url')
  const bound = Buffer.from(JSON.stringify([place.shop, place.provider, place.field, 'k1', 1]))
  const nonce = randomBytes(12)
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: 4 })
  cipher.setAAD(bound)
  cipher.final()
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: 4 }).setAAD(bound).setAuthTag(cipher.getAuthTag())
  t.doesNotThrow(() => decipher.final(), 'the forgery is well made')
  t.throws(() => vault.open(place, { keyId: 'k1', version: 1, sealed: Buffer.concat([nonce, cipher.getAuthTag()]) }), REFUSED)
})

t.test('the first key seals, all of them open', async t => {
  const old = createVault([k1], personKey).seal(place, TEXT)
  const rotated = createVault([k2, k1], personKey)
  t.equal(rotated.open(place, old), TEXT)
  t.equal(rotated.seal(place, TEXT).keyId, 'k2')
})

t.test('a fingerprint is the same for the same text and purpose, whichever key seals', async t => {
  const print = (vault = createVault([k1], personKey), purpose = 'person', text = '+12015550123') => vault.fingerprint(purpose, text).toString('hex')
  t.equal(print(), print(createVault([k2, k1], personKey)))
  t.equal(print().length, 32)
  t.not(print(), print(createVault([k1], secret())))
  t.not(print(), print(undefined, 'cursor'))
})
