// Files of sign-ups as spreadsheets and other apps write them.

import fc from 'fast-check'
import t from 'tap'
import { columnsOf, rowOf } from './columns.ts'
import { readCsv, ROWS_MAX } from './csv.ts'

const given = (header: string[], cells: string[]): unknown => rowOf(cells, columnsOf(header))
const BASE = ['Phone', 'Variant ID', 'Product ID']
const PHONE = '+12015550123'

t.test('UTF-8 with and without a mark, UTF-16, CRLF, semicolons, tabs, quotes and lines in cells are all read', async t => {
  const expected = { header: ['Phone', 'Name'], rows: [[PHONE, 'Zoë "Z"'], ['+12015550124', 'a\nb']] }
  const file = (delimiter: string, end: string) => `Phone${delimiter}Name${end}${PHONE}${delimiter}"Zoë ""Z"""${end}+12015550124${delimiter}"a\nb"${end}${end}`
  for (const text of [file(',', '\n'), file(';', '\r\n'), file('\t', '\r\n'), `\ufeff${file(',', '\r\n')}`]) {
    t.strictSame(await readCsv(Buffer.from(text)), expected)
    t.strictSame(await readCsv(Buffer.from(`\ufeff${text}`, 'utf16le')), expected, 'UTF-16')
  }
  t.strictSame(await readCsv(Buffer.from('')), { header: [], rows: [] })
  t.strictSame((await readCsv(Buffer.from('Phone,Note\n1,"a;b;c"'))).rows, [['1', 'a;b;c']], 'the header says what the delimiter is')
})

t.test('a wrong encoding, an open quote, a row without an end and too many rows are refused with what to do', async t => {
  const code = (bytes: Buffer) => t.rejects(readCsv(bytes), { code: 'GW_REQUEST_INVALID' })
  await code(Buffer.from('Phone,Name\n1,Zo\xeb', 'latin1'))
  await code(Buffer.from('Phone\0,Name'))
  await code(Buffer.from('Phone,Name\n1,"open'))
  await code(Buffer.from('Phone,Name\n1,"a"b'))
  await code(Buffer.from(`Phone,Name\n1,"${'x'.repeat(70_000)}"`))
  await t.rejects(readCsv(Buffer.from(`Phone\n${'1\n'.repeat(ROWS_MAX + 1)}`)), { code: 'GW_TOO_LARGE' })
  t.equal((await readCsv(Buffer.from(`Phone\n${'1\n'.repeat(ROWS_MAX)}`))).rows.length, ROWS_MAX)
})

t.test('property: whatever bytes a file has, it is read or refused', async t => {
  await fc.assert(fc.asyncProperty(fc.oneof(fc.uint8Array({ maxLength: 300 }).map(bytes => Buffer.from(bytes)), fc.string({ unit: fc.constantFrom(',', ';', '"', '\n', '\r', '=', 'a', '\ufeff', '\t'), maxLength: 80 }).map(text => Buffer.from(text))), async bytes => {
    try {
      const { header, rows } = await readCsv(bytes)
      for (const row of rows) rowOf(row, columnsOf(header))
    } catch (error) {
      return (error as { code?: string }).code === 'GW_REQUEST_INVALID'
    }
    return true
  }), { numRuns: 300 })
  t.pass()
})

t.test('columns are known by any of their names, once each; what is missing and what is not known is said', async t => {
  t.strictSame(columnsOf(['PHONE', 'shopify_variant_id', 'Product Id', 'E-mail address', 'SKU']).at, { phone: 0, variant: 1, product: 2, email: 3 })
  t.match(columnsOf(['Phone', 'Mobile', 'SKU']), { twice: ['Mobile'], ignored: ['SKU'], missing: ['Variant ID', 'Product ID'] })
})

t.test('#91: consent needs the word and the day; without them there is none', async t => {
  const agreed = (header: string[], cells: string[]) => (given([...BASE, ...header], [PHONE, 'v', 'p', ...cells]) as { given: { consent: object } }).given.consent
  t.strictSame(agreed(['SMS consent', 'Consent date'], ['yes', '2026-11-20 18:04:05 UTC']), { sms: true, at: '2026-11-20T18:04:05.000Z' })
  t.strictSame(agreed(['Accepts marketing', 'Date'], ['TRUE', '2026-11-20']), { sms: true, at: '2026-11-20T00:00:00.000Z' })
  for (const [header, cells] of [[['SMS consent'], ['yes']], [['Date'], ['2026-11-20']], [['SMS consent', 'Date'], ['no', '2026-11-20']], [['SMS consent', 'Date'], ['', '2026-11-20']], [['SMS consent', 'GDPR confirmed', 'Date'], ['yes', 'no', '2026-11-20']]] as const) {
    t.strictSame(agreed([...header], [...cells]), { sms: false }, header.join())
  }
})

t.test('formulas are refused, numbers that a spreadsheet quoted are read, dates are dates', async t => {
  for (const name of ['=HYPERLINK("http://evil.example")', '@SUM(A1)']) t.match(given([...BASE, 'Name'], [PHONE, 'v', 'p', name]), { code: 'formula' }, name)
  for (const phone of [`'${PHONE}`, `="${PHONE}"`]) t.match(given(BASE, [phone, 'v', 'p']), { given: { customer: { phone: PHONE } } }, phone)
  for (const date of ['20.11.2026', '11/20/2026', '2026-02-31', '2026-13-01', '2026-11-20T25:00:00Z', 'yesterday']) t.match(given([...BASE, 'Date'], [PHONE, 'v', 'p', date]), { code: 'date_invalid' }, date)
  t.match(given([...BASE, 'Price', 'Currency', 'Language'], [PHONE, 'v', 'p', '$49.90', 'usd', 'EN_us']), { given: { variant: { price: { amount: '49.90', currency: 'USD' } }, customer: { locale: 'en-us' } } })
})
