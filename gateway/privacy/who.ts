// A person as a shop platform names one: what each part can be read as, kept sealed until the work is done, and known by keyed hashes after that.

import { isSupportedCountry, parsePhoneNumberFromString, type CountryCode } from 'libphonenumber-js/min'
import type { Row, Who } from '../contract.ts'

const HAS_PLUS = /^\s*(\+|00)/
/** What is shorter is no number of a person. */
const NATIONAL_DIGITS_MIN = 7
/** What is shorter, and has no plus sign, is a number at home: read as one of abroad it would be somebody else's. */
const ABROAD_DIGITS_MIN = 11

export interface Customer { id?: string, email?: string, phone?: string, /** Of a phone number that names none; ISO 3166-1 alpha-2. */ country?: string }

/** As asked for. */
export interface Subject { customer: Customer, orders: string[] }

/** `phones`: E.164. `nationals`: digits of a number whose country nobody said, and of one that may be written without it. */
export interface Person extends Who { phones: string[], nationals: string[] }

export interface Sealing {
  seal (place: { shop: string, provider: string, field: string }, text: string): { keyId: string, version: number, sealed: Uint8Array }
  open (place: { shop: string, provider: string, field: string }, sealed: { keyId: string, version: number, sealed: Uint8Array }): string
  fingerprint (purpose: string, text: string): Buffer
}

/** Data of an event as its schema has it; whatever else is in it is left out. */
export function subjectOf (data: Record<string, unknown>): Subject {
  const { customer = {}, orders = [] } = data as { customer?: Customer, orders?: string[] }
  return { customer, orders }
}

export function personOf ({ customer: { id, email, phone, country }, orders }: Subject, vault: Pick<Sealing, 'fingerprint'>): Person {
  const { phones, nationals } = readings(phone, country)
  return {
    persons: phones.map(one => vault.fingerprint('person', one)),
    emails: email === undefined || email.trim() === '' ? [] : [email.trim().toLowerCase()],
    customerIds: id === undefined || id === '' ? [] : [id],
    orderIds: orders.filter(order => order !== ''),
    phones,
    nationals
  }
}

/** What stays of a person: by these the same one is told, and nothing else. */
export function marksOf ({ persons, emails, customerIds }: Who, vault: Pick<Sealing, 'fingerprint'>): Uint8Array[] {
  return [...persons, ...emails.map(email => vault.fingerprint('email', email)), ...customerIds.map(id => vault.fingerprint('customer', id))]
}

export function hexOf (marks: readonly Uint8Array[]): string[] { return marks.map(mark => Buffer.from(mark).toString('hex')) }

/** A phone number as platforms have it: with its country, or as people write it at home. */
function readings (phone = '', country = ''): { phones: string[], nationals: string[] } {
  const digits = phone.replaceAll(/\D/g, '')
  if (digits.length < NATIONAL_DIGITS_MIN) return { phones: [], nationals: [] }
  const text = HAS_PLUS.test(phone) ? `+${digits.replace(/^00/, '')}` : phone
  const home = isSupportedCountry(country) ? read(text, country) : read(text)
  const abroad = home === null && digits.length >= ABROAD_DIGITS_MIN && !digits.startsWith('0') ? read(`+${digits}`) : null // some leave out the plus sign alone
  const found = [home, abroad].filter(one => one !== null)
  const plain = digits.replace(/^0+/, '')
  return {
    phones: [...new Set(found.map(({ number }) => number))],
    nationals: [...new Set([...found.map(({ national }) => national), ...(HAS_PLUS.test(phone) ? [] : [plain])])].filter(({ length }) => length >= NATIONAL_DIGITS_MIN)
  }
}

function read (text: string, country?: CountryCode): { number: string, national: string } | null {
  const parsed = parsePhoneNumberFromString(text, country)
  return parsed?.isValid() ? { number: parsed.number, national: parsed.nationalNumber } : null
}

/** Columns of a row that holds whom it is about, or what was gathered. */
export function sealed (shop: string, field: string, value: unknown, vault: Pick<Sealing, 'seal'>): { key_id: string, version: number, sealed: Uint8Array } {
  const { keyId, version, sealed: bytes } = vault.seal({ shop, provider: '', field: `privacy ${field}` }, JSON.stringify(value))
  return { key_id: keyId, version, sealed: bytes }
}

/** Throws where the key it was sealed with is gone. */
export function unsealed (shop: string, field: string, { key_id: keyId, version, sealed: bytes }: Row, vault: Pick<Sealing, 'open'>): unknown {
  return JSON.parse(vault.open({ shop, provider: '', field: `privacy ${field}` }, { keyId: String(keyId), version: Number(version), sealed: bytes as Uint8Array }))
}
