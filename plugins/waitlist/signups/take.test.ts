// Two pages at the same moment, and what the store says of it.

import t from 'tap'
import { GatewayError } from '../../../gateway/errors.ts'
import type { Made, Row, SourceContext, SourceShop } from '../../../gateway/contract.ts'
import { take } from './take.ts'

const SHOP = { key: 1, id: 'acme.example' } as SourceShop
const SIGNUP = { phone: '+12015550123', variant: 'v1', market: '', data: {} }
const WAITING: Row = { state: 1, consent: 1, joined_at: 1, told_at: 1 }
const ACCEPTED: Made = { is: 'accepted', events: [{ sourceId: 'x', status: 'accepted' }] }
const CONFLICT: Made = { is: 'refused', sourceId: 'x', code: 'GW_EVENT_CONFLICT', message: 'The id was used.' }
const failed = new GatewayError('GW_STORE_FAILED', 'An id was taken at this very moment.')

/** What is read, and what the door says, in this order. */
async function taken (rows: Array<Row | null>, answers: Array<Made | Error>): Promise<{ result: unknown, ids: string[] }> {
  const ids: string[] = []
  let made = 0
  const context = {
    now: () => 1000,
    person: (text: string) => Buffer.from(text.slice(0, 4)),
    newId: (prefix: string) => `${prefix}${++made}`,
    read: async () => {
      const row = rows.shift()
      return row ? [row] : []
    },
    accept: async ([event]: Array<{ id: string }>) => {
      ids.push(event?.id as string)
      const answer = answers.shift() as Made | Error
      if (answer instanceof Error) throw answer
      return answer
    }
  }
  const result = await take(SIGNUP, 'storefront', SHOP, context as unknown as SourceContext).catch((error: Error) => error)
  return { result, ids }
}

t.test('a sign-up whose event is there already, and who waits, waits: no second event is made', async t => {
  t.match(await taken([null, WAITING], [CONFLICT]), { result: { is: 'waiting' }, ids: { length: 1 } })
  t.match(await taken([null, WAITING], [{ is: 'accepted', events: [{ sourceId: 'x', status: 'duplicate' }] }]), { result: { is: 'waiting' }, ids: { length: 1 } })
  t.match(await taken([WAITING], []), { result: { is: 'waiting' }, ids: { length: 0 } })
})

t.test('whose event is there, and whose sign-up is not, was erased: a new event is made', async t => {
  t.match(await taken([null, null], [CONFLICT, ACCEPTED]), { result: { is: 'joined' }, ids: [/^storefront \w/, /^storefront again_1$/] })
})

t.test('an id that is taken at this very moment is looked at once more; a store that fails is told', async t => {
  t.match(await taken([null, WAITING], [failed]), { result: { is: 'waiting' } })
  t.match(await taken([null, null], [failed, ACCEPTED]), { result: { is: 'joined' } })
  t.match(await taken([null, null], [failed, failed]), { result: failed })
})

t.test('what the door refuses is refused with its words', async t => {
  t.match(await taken([null], [{ ...CONFLICT, code: 'GW_EVENT_INVALID', message: 'It does not fit.' }]), { result: { is: 'refused', code: 'GW_EVENT_INVALID', message: 'It does not fit.' } })
})
