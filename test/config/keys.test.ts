// Keys that would protect nothing: the gateway does not start with them, says why and where, and never repeats them.

import { randomBytes } from 'node:crypto'
import t from 'tap'
import { makeApp } from '../helpers/app.ts'

const KEYS: Record<string, string> = {
  missing: '',
  short: randomBytes(31).toString('base64url'),
  long: randomBytes(33).toString('base64url'),
  'all zero': Buffer.alloc(32).toString('base64url'),
  'one that counts': Buffer.from(Array.from({ length: 32 }, (_, i) => i + 1)).toString('base64url'),
  'a phrase': Buffer.from('correct horse battery staple 123').toString('base64url'),
  'in hex': randomBytes(32).toString('hex')
}

for (const [what, key] of Object.entries(KEYS)) {
  t.test(`#80: an encryption key that is ${what} is refused at the start`, async t => {
    const app = makeApp(t, { env: { KEY_ONE: key } })
    const error = await app.start().then(() => null, (error: { faults?: Array<{ code: string, path: string, message: string, fix: string }> }) => error)
    t.match(error?.faults, [key === '' ? { code: 'GW_CONFIG_ENV_UNSET', message: /KEY_ONE/ } : { code: 'GW_CONFIG_SECRET', fix: /randomBytes\(32\)/ }])
    if (key !== '') t.notOk(JSON.stringify(error?.faults).includes(key))
  })
}
