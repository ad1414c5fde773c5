// What a source says before a send is what the delivery shows.

import t from 'tap'
import { anEvent, makeApp, ROOT, until, type Body } from '../helpers/app.ts'
import { configWith, writeSource } from '../sources/hook.ts'

const NEVER = ['sold_out', 'bought_since', 'unsubscribed', 'no_consent', 'wave_stopped'] as const

/** Its answer is the customer's name. */
const DOORMAN = `
import { defineSource } from '${ROOT}/gateway/define.ts'
export default defineSource({
  id: 'doorman',
  events: [],
  checks: { 'back_in_stock.alert': async ({ data }, { now }) => {
    const reason = data.customer.name
    return reason === 'product_unavailable' ? { is: 'defer', untilAt: now() + 60000, reason } : { is: 'reject', reason }
  } }
})
`

t.test('F3: each reason for which an alert is not sent, or not yet, stands at its delivery', async t => {
  const app = makeApp(t, { config: configWith('  doorman: { path: sources/doorman }') })
  writeSource(app.dir, 'doorman', DOORMAN)
  await app.start()
  for (const reason of [...NEVER, 'product_unavailable']) {
    const event = anEvent(reason)
    const { customer, ...data } = event.data as { customer: Body }
    await app.post({ ...event, data: { ...data, customer: { ...customer, name: reason } } })
    await until(async () => (await app.delivery(reason)).reason !== null)
    const { state, reason: shown } = await app.delivery(reason)
    t.strictSame([state, shown], [reason === 'product_unavailable' ? 'waiting' : 'rejected', reason])
  }
  t.strictSame(await app.received('courier'), [])
})
