// What a stranger may make a shop say: nothing that leads elsewhere.

import t from 'tap'
import { nameOf, offerOf, type OfferOptions } from './offer.ts'
import { shapeOf, type Given } from './shape.ts'
import { signupOf } from './signup.ts'

const SHOP = { id: 'acme.example', domain: 'shop.acme.example' }
const PAGE = 'https://shop.acme.example/products/mug'
const KNOWN = { product: { title: 'Mug', vendor: 'Acme', url: PAGE }, variants: [{ id: 'v1', title: 'Blue', price: '5.00', url: `${PAGE}?variant=1` }] }
const GIVEN: Given = {
  customer: { phone: '+12015550123' },
  product: { id: 'p1', title: 'Cup', vendor: 'Else', url: PAGE, image_url: 'https://cdn.example/cup.jpg' },
  variant: { id: 'v1', title: 'Red', price: { amount: '9', currency: 'EUR' }, url: `${PAGE}?variant=9` },
  consent: { sms: true }
}
const OPEN: OfferOptions = { known: null, shop: SHOP, origins: ['https://pages.example'], currency: null, trusted: false }
const rules = (result: object): unknown => 'faults' in result ? (result.faults as Array<{ path: string, rule: string }>).map(({ path, rule }) => `${path} ${rule}`) : result

t.test('a page cannot say otherwise of a product that the waitlist knows; whoever has an API key can', async t => {
  t.match(offerOf(GIVEN, { ...OPEN, known: KNOWN }), { product: { title: 'Mug', vendor: 'Acme', url: PAGE }, variant: { title: 'Blue', price: { amount: '5.00', currency: 'EUR' }, url: `${PAGE}?variant=1` } })
  t.match(offerOf(GIVEN, { ...OPEN, known: KNOWN, trusted: true }), { product: { title: 'Cup', image_url: 'https://cdn.example/cup.jpg' }, variant: { title: 'Red', price: { amount: '9' } } })
})

t.test('ids are enough for a product that is known, with the shop\'s currency', async t => {
  const ids = { ...GIVEN, product: { id: 'p1' }, variant: { id: 'v1' } }
  t.match(offerOf(ids, { ...OPEN, known: KNOWN, currency: 'USD' }), { product: { title: 'Mug' }, variant: { price: { amount: '5.00', currency: 'USD' } } })
  t.strictSame(rules(offerOf(ids, { ...OPEN, known: KNOWN })), ['/variant/price product_unknown'])
  t.strictSame(rules(offerOf(ids, OPEN)), ['/product/title product_unknown', '/product/url product_unknown', '/variant/price product_unknown'])
})

t.test('phishing by the shop\'s own texts: links lead to the shop, and titles hold none', async t => {
  const foreign = ['https://evil.example/', 'https://shop.acme.example.evil.example/', 'https://evilshop.acme.example@evil.example/', 'https://acme.example:pw@shop.acme.example/', 'http://shop-acme.example/', 'https://notacme.example/']
  for (const url of foreign) t.strictSame(rules(offerOf({ ...GIVEN, product: { ...GIVEN.product, url } }, OPEN)), ['/product/url foreign_link'], url)
  for (const url of [PAGE, 'https://acme.example/p', 'https://www.acme.example/p', 'https://pages.example/p']) t.match(offerOf({ ...GIVEN, product: { ...GIVEN.product, url } }, OPEN), { product: { url } }, url)
  t.strictSame(rules(offerOf({ ...GIVEN, product: { ...GIVEN.product, title: 'Win: http://evil.example' }, variant: { ...GIVEN.variant, title: 'www.evil.example' } }, OPEN)), ['/product/title link', '/variant/title link'])
  t.notOk('image_url' in (offerOf(GIVEN, OPEN) as { product: object }).product, 'a picture from elsewhere is left out')
  t.equal(nameOf('http://evil.example', false), '')
  t.equal(nameOf('Ada O\'Neil', false), 'Ada O\'Neil')
})

t.test('nobody is signed up without consent, in the future, or with what is no text', async t => {
  const options = { shop: SHOP, settings: { allowedCountries: null, origins: [], currency: null }, known: null, trusted: true, withoutConsent: false, now: Date.UTC(2026, 10, 22) }
  t.match(rules(signupOf({ ...GIVEN, consent: { sms: false } }, options)), ['/consent/sms no_consent'])
  t.match(rules(signupOf({ ...GIVEN, joined_at: '2026-11-23T00:00:00Z', consent: { sms: true, at: '2027-01-01T00:00:00Z' } }, options)), ['/consent/at future', '/joined_at future'])
  t.match(rules(signupOf({ ...GIVEN, customer: { ...GIVEN.customer, country: 'ZZ', time_zone: 'Mars/Base', name: 'a\0b' } }, options)), ['/customer/country country', '/customer/time_zone time_zone', ' text'])
  t.match(rules(signupOf({ ...GIVEN, market: '\ud800' }, options)), [' text'])
  t.match(signupOf({ ...GIVEN, market: 'eu' }, options), { phone: '+12015550123', variant: 'v1', market: 'eu', data: { customer: { country: 'US', name: '' }, consent: { at: '2026-11-22T00:00:00.000Z' }, market: 'eu' } })
})

t.test('R82: keys that reach into prototypes, and what is no sign-up at all, are refused with their places', async t => {
  for (const value of [null, 1, 'x', [], {}, [GIVEN], { ...GIVEN, extra: 1 }, { ...GIVEN, customer: { phone: 12015550123 } }, JSON.parse('{"__proto__":{"a":1}}'), JSON.parse('{"customer":{"__proto__":{"phone":"+12015550123"}}}')]) {
    const shape = shapeOf(value)
    t.ok('faults' in shape && shape.faults.length > 0, JSON.stringify(value))
  }
  t.equal(({} as { a?: number }).a, undefined)
  t.ok('given' in shapeOf(GIVEN))
})
