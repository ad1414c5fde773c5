// What the waitlist keeps of people and shops, erased and handed out. In slices, so that nobody else waits for it.

import type { Row, SourceContext, SourcePrivacy, Value, Who } from '../../../gateway/contract.ts'
import { signupView } from './views.ts'

const SLICE = 500
const OF_SHOP = ['signups', 'levels', 'stock', 'products', 'waves', 'tries'] as const

export const privacy: SourcePrivacy = {
  async redact (who, shopKey, context) {
    for (const { by, params } of namesOf(who, context)) await emptied(`waitlist_redact_${by}`, { ...params, shop_key: shopKey }, context)
    const counts = who.persons.map(person => ({ name: 'waitlist_redact_tries', params: { shop_key: shopKey, who: Buffer.from(person).toString('base64url') } }))
    if (counts.length > 0) await context.commit(counts)
  },

  async export (who, shopKey, context) {
    const rows = new Map<string, Row>()
    for (const { by, params } of namesOf(who, context)) {
      for (const row of await all(`waitlist_export_${by}`, { ...params, shop_key: shopKey }, context)) rows.set(String(row.id), row)
    }
    return { signups: [...rows.values()].map(row => ({ ...signupView(row), data: JSON.parse(row.data as string) as unknown })) }
  },

  async forgetShop (shopKey, context) {
    for (const table of OF_SHOP) await emptied(`waitlist_forget_${table}`, { shop_key: shopKey }, context)
    await context.commit([{ name: 'waitlist_forget_settings', params: { shop_key: shopKey } }, { name: 'waitlist_forget_tokens', params: { shop_key: shopKey } }])
  }
}

/** Each by which sign-ups are found. */
function namesOf ({ persons, emails, customerIds }: Who, { person }: SourceContext): Array<{ by: 'person' | 'email' | 'customer', params: Record<string, Value> }> {
  return [
    ...persons.map(one => ({ by: 'person' as const, params: { person: one } })),
    ...emails.map(email => ({ by: 'email' as const, params: { digest: person(email.toLowerCase()) } })),
    ...customerIds.map(customer => ({ by: 'customer' as const, params: { customer } }))
  ]
}

async function emptied (name: string, params: Record<string, Value>, { commit }: SourceContext): Promise<void> {
  for (;;) {
    const [result] = await commit([{ name, params: { ...params, limit: SLICE } }])
    if (!result || result.changes === 0) return
  }
}

async function all (name: string, params: Record<string, Value>, { read }: SourceContext): Promise<Row[]> {
  const rows: Row[] = []
  for (;;) {
    const page = await read(name, { ...params, after_key: Number(rows.at(-1)?.signup_key ?? 0), limit: SLICE })
    rows.push(...page)
    if (page.length < SLICE) return rows
  }
}
