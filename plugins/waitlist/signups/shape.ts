// What a sign-up may look like, whichever way it comes: from a page, by the API, from a file.

import { Ajv2020 } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import type { Detail } from '../../../gateway/contract.ts'

/** As it is given. What the waitlist knows of the product may be left out. */
export interface Given {
  customer: { name?: string, phone: string, email?: string, country?: string, locale?: string, time_zone?: string, id?: string }
  product: { id: string, title?: string, vendor?: string, url?: string, image_url?: string }
  variant: { id: string, title?: string, price?: { amount: string, currency: string }, url?: string, checkout_url?: string }
  consent: { sms: boolean, at?: string, text?: string }
  market?: string
  joined_at?: string
}

const text = (maxLength: number, minLength = 0) => ({ type: 'string', minLength, maxLength })
const url = { type: 'string', format: 'uri', pattern: '^https?://', maxLength: 2048 }
const time = { type: 'string', format: 'date-time', maxLength: 40 }
const closed = (required: string[], properties: object) => ({ type: 'object', additionalProperties: false, required, properties })

const SHAPE = closed(['customer', 'product', 'variant', 'consent'], {
  customer: closed(['phone'], {
    name: text(200),
    phone: text(40, 1),
    email: { type: 'string', format: 'email', maxLength: 254 },
    country: { type: 'string', pattern: '^[A-Z]{2}$' },
    locale: { type: 'string', pattern: '^[a-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}$', maxLength: 35 },
    time_zone: { type: 'string', pattern: '^[A-Za-z][A-Za-z0-9_+/-]*$', maxLength: 64 },
    id: text(100, 1)
  }),
  product: closed(['id'], { id: text(100, 1), title: text(500, 1), vendor: text(255), url, image_url: url }),
  variant: closed(['id'], {
    id: text(100, 1),
    title: text(255, 1),
    price: closed(['amount', 'currency'], { amount: { type: 'string', pattern: '^[0-9]{1,12}(\\.[0-9]{1,4})?$' }, currency: { type: 'string', pattern: '^[A-Z]{3}$' } }),
    url,
    checkout_url: url
  }),
  consent: closed(['sms'], { sms: { type: 'boolean' }, at: time, text: text(1000) }),
  market: text(100, 1),
  joined_at: time
})

const GOT_CHARS = 100
const ajv = new Ajv2020({ allErrors: true, strict: true, verbose: true })
addFormats.default(ajv, ['email', 'uri', 'date-time'])
const valid = ajv.compile<Given>(SHAPE)

/** The value, or everything that is wrong with its form. */
export function shapeOf (value: unknown): { given: Given } | { faults: Detail[] } {
  if (valid(value)) return { given: value }
  return {
    faults: (valid.errors ?? []).map(({ instancePath, keyword, message = 'is not valid', params, data }) => {
      const key: unknown = params['additionalProperty'] ?? params['missingProperty']
      const path = key === undefined ? instancePath : `${instancePath}/${String(key).slice(0, GOT_CHARS).toWellFormed()}`
      return { path, rule: keyword, message, ...(typeof data !== 'object' && { got: String(data).slice(0, GOT_CHARS).toWellFormed() }) }
    })
  }
}
