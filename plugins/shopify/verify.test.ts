// Shopify's signature: the known ones are right, and nothing else is.

import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { isSigned, sign } from './verify.ts'

const SECRET = 'shopify_test_client_secret_0001'
const SAMPLES = join(import.meta.dirname, '../../../shared/reference/shopify')
const ORDER = readFileSync(join(import.meta.dirname, 'fixtures/orders-create.preorder.json'))
const ORDER_SIGNATURE = 'NiTnP2Npo2xsDubE5sGW+nlMVTCSt9YOBQptQKv6jJg='
const bytes = fc.uint8Array({ maxLength: 300 })
const secret = fc.string({ minLength: 1, maxLength: 60, unit: 'binary' })

/** The same bytes but for one bit of one of them. */
function flipped (body: Uint8Array, at: number, bit = 0): Uint8Array {
  return body.with(at, (body[at] as number) ^ (1 << bit))
}

interface Sample { file: string, headers: Record<string, string> }

if (existsSync(join(SAMPLES, 'headers.json'))) samples((JSON.parse(readFileSync(join(SAMPLES, 'headers.json'), 'utf8')) as { deliveries: Sample[] }).deliveries)
else {
  t.comment(`${SAMPLES} is not here: Shopify's own sample deliveries are not tried, only those of this folder`)
  t.test('Shopify\'s sample deliveries', { skip: 'their files are not here' }, () => {})
}

function samples (deliveries: readonly Sample[]): void {
  t.test('every signed sample delivery is right, and wrong with any byte of it changed', async t => {
    t.ok(deliveries.length >= 12)
    for (const { file, headers } of deliveries) {
      const body = readFileSync(join(SAMPLES, file))
      const signature = headers['X-Shopify-Hmac-Sha256']
      t.ok(isSigned(signature, [SECRET], body), file)
      let right = 0
      const step = Math.max(1, Math.floor(body.length / 500)) // of long ones every twentieth or so, the last in any case
      for (let at = 0; at < body.length; at += step) right += Number(isSigned(signature, [SECRET], flipped(body, at)))
      right += Number(isSigned(signature, [SECRET], flipped(body, body.length - 1)))
      t.equal(right, 0, `${file}, changed`)
      t.notOk(isSigned(signature, [SECRET], Buffer.from(JSON.stringify(JSON.parse(body.toString())))), `${file}, written anew`)
    }
  })
}

t.test('the known signatures are right', async t => {
  t.equal(sign(SECRET, Buffer.from('{"foo": "bar"}')), 'KkUj0s0EsJ0KyHSBWyYHqSvp8rnk2AarPYpZe2V2a0A=')
  t.equal(sign(SECRET, ORDER), ORDER_SIGNATURE)
  t.ok(isSigned(ORDER_SIGNATURE, [SECRET], ORDER))
})

t.test('attack 3: white space, order of keys and escapes are signed too', async t => {
  const body = '{"a":1,"b":"ä"}'
  const signature = sign(SECRET, Buffer.from(body))
  for (const other of ['{"a": 1,"b":"ä"}', '{"b":"ä","a":1}', '{"a":1,"b":"\\u00e4"}', '{"a":1,"b":"ä"}\n', '\ufeff{"a":1,"b":"ä"}', '{"a":1.0,"b":"ä"}', '']) t.notOk(isSigned(signature, [SECRET], Buffer.from(other)), other)
})

t.test('attack 1: what is no signature at all is wrong, and harms nobody', async t => {
  const right = ORDER_SIGNATURE
  const raw = Buffer.from(right, 'base64')
  const wrong: unknown[] = [
    undefined, null, '', ' ', 0, [right], { toString: () => right }, `${right} `, ` ${right}`, right.slice(0, -1), right.slice(1), `${right}=`, right + right, right.toLowerCase(),
    raw.toString('hex'), raw.toString('base64url'), raw.toString('latin1'), `sha256=${right}`, `${right}, ${right}`, 'A'.repeat(43) + '=', '\0'.repeat(44), 'ü'.repeat(44), '🌸'.repeat(22), 'x'.repeat(100_000),
    `${right.slice(0, -2)}${right.at(-2) === 'h' ? 'i' : 'h'}=` // the same 32 bytes to a lenient reader: the last character has two spare bits
  ]
  for (const given of wrong) t.equal(isSigned(given, [SECRET], ORDER), false, JSON.stringify(given)?.slice(0, 60))
})

t.test('attacks 2, 4 and 8: another app\'s secret, an empty one or none is wrong; of several in rotation each is right, until it is taken away', async t => {
  const [old, fresh] = ['shpss_old_0123456789', 'shpss_new_0123456789']
  t.notOk(isSigned(sign('shpss_other_0123456789', ORDER), [old, fresh], ORDER))
  for (const secret of [old, fresh]) t.ok(isSigned(sign(secret, ORDER), [fresh, old], ORDER), secret)
  t.notOk(isSigned(sign(old, ORDER), [fresh], ORDER))
  t.notOk(isSigned(sign('', ORDER), [], ORDER))
  t.notOk(isSigned(sign('', ORDER), [''], ORDER), 'an empty key proves nothing')
  t.notOk(isSigned(sign('', ORDER), ['', fresh], ORDER))
})

t.test('whatever is signed is right for its secret, in any place of the list', async () => {
  fc.assert(fc.property(bytes, fc.uniqueArray(secret, { minLength: 1, maxLength: 4 }), fc.nat(), (body, secrets, n) => isSigned(sign(secrets[n % secrets.length] as string, body), secrets, body)))
})

t.test('whatever is changed afterwards is wrong', async () => {
  const changes = fc.oneof(
    fc.record({ at: fc.nat(), bit: fc.nat({ max: 7 }) }).map(({ at, bit }) => (body: Uint8Array) => body.length === 0 ? Uint8Array.of(bit) : flipped(body, at % body.length, bit)),
    fc.record({ at: fc.nat(), byte: fc.nat({ max: 255 }) }).map(({ at, byte }) => (body: Uint8Array) => Uint8Array.from([...body.slice(0, at % (body.length + 1)), byte, ...body.slice(at % (body.length + 1))])),
    fc.constant((body: Uint8Array) => body.length === 0 ? Uint8Array.of(0) : body.slice(1))
  )
  fc.assert(fc.property(bytes, secret, changes, (body, secret, change) => !isSigned(sign(secret, body), [secret], change(body))))
})

t.test('no text that anyone may send is right, but the one', async () => {
  const near = fc.record({ at: fc.nat({ max: 43 }), char: fc.string({ minLength: 1, maxLength: 1 }) }).map(({ at, char }) => ORDER_SIGNATURE.slice(0, at) + char + ORDER_SIGNATURE.slice(at + 1))
  fc.assert(fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.base64String({ minLength: 44, maxLength: 44 }), near), given => isSigned(given, [SECRET], ORDER) === (given === ORDER_SIGNATURE)), { numRuns: 500 })
})
