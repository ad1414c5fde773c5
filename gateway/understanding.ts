// What a provider's own routes received, worked on: its code says what it means, and what follows rides in the unit that ends the row.

import type { InboundContext, Provider, ProviderNotice, Received, Runtime, Step, Store, Translated } from './contract.ts'
import { CARRIER_WORDS } from './contract.ts'
import { weigh, type Weighed } from './carrier/word.ts'
import { optedIn, optedOutAtSender } from './opt-outs/said.ts'

const PHONE = /^\+[1-9][0-9]{6,14}$/
const VIA = /^[a-z][a-z0-9_]{0,39}$/
const NOTICES_MAX = 20

export interface UnderstandingOptions { store: Pick<Store, 'read'>, runtime: Pick<Runtime, 'now'>, person (phone: string): Uint8Array }

type Later = Extract<Weighed, { is: 'later' }>

/** What follows from a row. Throws TypeError for notices that are none: code of a folder is not ours. */
export async function understood (received: Received, provider: Provider, context: Omit<InboundContext, 'receive'>, options: UnderstandingOptions): Promise<Translated | Later> {
  const told = provider.code.understand?.(received, context) ?? []
  if ('unclear' in told) return { is: 'parked', reason: 'not_understood', detail: told.unclear }
  if (told.length === 0) return { is: 'recorded', reason: 'not_acted_on', detail: 'Nothing follows from it.' }
  if (told.length > NOTICES_MAX) throw new TypeError(`understand gave more than ${NOTICES_MAX} notices`)
  const weighed: Weighed[] = []
  for (const notice of told) weighed.push(await one(checked(notice), provider, options))
  const first = weighed.find(({ is }) => is === 'later') ?? weighed.find(({ is }) => is === 'parked')
  if (first?.is === 'later' || first?.is === 'parked') return first as Later | Extract<Translated, { is: 'parked' }>
  const settled = weighed.filter(({ is }) => is !== 'later') as Array<Exclude<Weighed, Later>>
  const { reason, detail } = settled[0] as Exclude<Weighed, Later>
  const steps: Step[] = settled.flatMap(one => one.is === 'done' ? one.steps : one.is === 'erased' ? [{ name: 'redact_report', params: { id: received.id, now: options.runtime.now() } }] : [])
  return { is: 'events', events: [], reason, detail, steps }
}

async function one (notice: ProviderNotice, provider: Provider, options: UnderstandingOptions): Promise<Weighed> {
  if (notice.is === 'status') return await weigh(notice, provider, options)
  if (notice.is === 'reply') return { is: 'parked', reason: 'reply', detail: notice.detail }
  const [account] = await options.store.read('account_of', { provider: provider.id, account: notice.account })
  if (account === undefined) return { is: 'parked', reason: 'account_differs', detail: 'It came from an account that nothing is sent over here.' }
  const said = { accountKey: account.account_key as number, person: options.person(notice.phone), at: notice.at, via: notice.via }
  return notice.is === 'opted_out'
    ? { is: 'done', reason: 'opted_out', detail: 'A customer wants no more messages from this sender.', steps: optedOutAtSender(said) }
    : { is: 'done', reason: 'opted_in', detail: 'A customer wants messages from this sender again.', steps: optedIn(said) }
}

function checked (notice: ProviderNotice): ProviderNotice {
  switch (notice.is) {
    case 'reply': return notice
    case 'status':
      if (!CARRIER_WORDS.includes(notice.word) || notice.receipt === '' || !Number.isSafeInteger(notice.at)) throw new TypeError('understand gave a status without a known word, a receipt and a time')
      return notice
    case 'opted_out':
    case 'opted_in':
      if (!PHONE.test(notice.phone) || !VIA.test(notice.via) || !Number.isSafeInteger(notice.at)) throw new TypeError(`understand gave ${notice.is} without a phone number (E.164), a way and a time`)
      return notice
    default: throw new TypeError('understand gave a notice that is none')
  }
}
