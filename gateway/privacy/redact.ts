// Erases a customer of a shop: events and what came of them, webhooks, lists, what was gathered before, and what sources keep.

import type { Row, Step } from '../contract.ts'
import { eraseSteps, optOutSteps } from './erase.ts'
import { matcher } from './match.ts'
import type { Person } from './who.ts'
import { commitAll, isBefore, stillSent, wasRedacted, type Request, type Work, type WorkTools } from './work.ts'

type Json = Record<string, unknown>

export function redaction (request: Request & { person: Person }, tools: WorkTools): Work {
  const { store, runtime, digest } = tools
  const { shop, person, at } = request
  const names = matcher(person)
  const own = new Set(person.persons.map(hash => Buffer.from(hash).toString('hex')))
  const isOwn = (hash: unknown): boolean => hash !== null && own.has(Buffer.from(hash as Uint8Array).toString('hex'))
  const erased = (event: Parameters<typeof eraseSteps>[0]): Step[] => eraseSteps(event, shop, { digest, now: runtime.now() })

  return {
    async events (rows) {
      const theirs = rows.filter(row => row.data !== null && isBefore(row, at) && (isOwn(row.person) || names(String(row.data))))
      await commitAll(theirs.map(row => erased({ key: row.event_key as number, data: row.data as string, person: row.person as Uint8Array | null })), store)
      return { found: theirs.length, open: await stillSent([...theirs, ...rows.filter(wasRedacted)], store) }
    },
    async inbox (rows) {
      const theirs = rows.filter(row => names(String(row.body)))
      const done = await store.commit(theirs.map(row => ({ name: 'redact_inbox', params: { inbox_key: row.inbox_key as number, now: runtime.now() } })))
      return { found: done.filter(({ changes }) => changes > 0).length, wait: done.some(({ changes }) => changes === 0) }
    },
    async again (keys) {
      await commitAll(keys.map(key => erased({ key, data: null, person: null })), store)
      return await stillSent(keys.map(key => ({ event_key: key })), store)
    },
    async rest () {
      const accounts = await store.read('accounts_of_shop', { shop_key: shop.key })
      await store.commit([
        ...person.persons.flatMap(hash => [{ name: 'forget_subscriber', params: { shop_key: shop.key, person: hash } }, ...optOutSteps(hash, shop)]),
        ...person.phones.flatMap((phone, i) => accounts.map(({ account_key: key }) => ({ name: 'forget_notice', params: { id: tools.noticeId(key as number, phone), shop_key: shop.key, person: person.persons[i] as Uint8Array } }))),
        ...(await store.read('setup_of_shop', { shop_key: shop.key })).flatMap(row => testSteps(row, shop.key, names)),
        ...(await store.read('gathered_of_shop', { shop_key: shop.key })).filter(row => request.marks.some(mark => (JSON.parse(String(row.marks)) as string[]).includes(mark))).map(({ id }) => ({ name: 'drop_parts', params: { id: id as string } }))
      ])
      for (const hook of tools.hooks()) await hook.redact(person, shop.key)
    }
  }
}

/** A merchant's own phone, to which a test was sent: nobody looks for that test any more. */
function testSteps (row: Row, shopKey: number, names: (text: string) => boolean): Step[] {
  const { provider, step, subject, given, found } = row as Record<string, string>
  const { phone, sent, ...kept } = JSON.parse(given as string) as Json
  if (!names(JSON.stringify([phone, sent]))) return []
  const { arrival, ...shown } = JSON.parse(found as string) as { arrival?: Json } & Json
  const ended = arrival?.['state'] === 'awaited' ? { ...arrival, state: 'not_looked', reason: 'redacted' } : arrival
  return [{
    name: 'redact_setup',
    params: { shop_key: shopKey, provider: provider as string, step: step as string, subject: subject as string, given_before: given as string, given: JSON.stringify(kept), found: JSON.stringify({ ...shown, ...(ended && { arrival: ended }) }) }
  }]
}
