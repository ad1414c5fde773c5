// Erases a shop: of all that was stored of it, counts and what was done to it remain, and that its id was erased.

import type { Store } from '../contract.ts'
import { eraseSteps } from './erase.ts'
import { commitAll, stillSent, wasRedacted, type Request, type Work, type WorkTools } from './work.ts'

const PEOPLE = 1000

export function forgetting ({ shop }: Request, tools: WorkTools): Work {
  const { store, runtime, digest } = tools
  const of = { shop_key: shop.key }
  const own = { key: shop.key, id: null }
  return {
    async events (rows) {
      const full = rows.filter(({ data }) => data !== null)
      await commitAll(full.map(row => eraseSteps({ key: row.event_key as number, data: String(row.data), person: row.person as Uint8Array | null }, own, { digest, now: runtime.now() })), store)
      return { found: full.length, open: await stillSent([...full, ...rows.filter(wasRedacted)], store) }
    },
    async inbox (rows, { after, until }) {
      const [gone] = await store.commit([{ name: 'forget_inbox_of_shop', params: { shop: shop.id, after_key: after, until_key: until } }])
      return { found: gone?.changes ?? 0, wait: rows.some(({ owner }) => owner !== null) }
    },
    async again (keys) {
      await commitAll(keys.map(key => eraseSteps({ key, data: null, person: null }, own, { digest, now: runtime.now() })), store)
      return await stillSent(keys.map(key => ({ event_key: key })), store)
    },
    async rest () {
      const accounts = (await store.read('accounts_of_shop', of)).map(row => ({ account_key: row.account_key as number }))
      await tools.disconnect(shop.key)
      for (const account of accounts) await forgetList(account, store)
      const gathered = await store.read('gathered_of_shop', of)
      await store.commit([
        ...['forget_setup_of', 'forget_setup_secrets_of', 'forget_flows_of', 'forget_channels_of', 'forget_opt_outs_of', 'forget_marks'].map(name => ({ name, params: of })),
        { name: 'forget_setup_jobs_of', params: { prefix: `${shop.key}/%` } },
        { name: 'forget_reasons_of', params: { shop: shop.id } },
        ...accounts.flatMap(account => ['forget_tasks_of', 'forget_notices_of'].map(name => ({ name, params: account }))),
        ...gathered.map(({ id }) => ({ name: 'drop_parts', params: { id: id as string } }))
      ])
      for (const hook of tools.hooks()) await hook.forgetShop(shop.key)
      await store.commit([{ name: 'forget_privacy_marks', params: of }, { name: 'erase_shop_end', params: of }])
      tools.changed(shop.id)
    }
  }
}

/** Of an account that nobody is connected to any more. */
async function forgetList (account: { account_key: number }, store: Pick<Store, 'commit'>): Promise<void> {
  for (;;) {
    const [gone] = await store.commit([{ name: 'forget_list_of', params: { ...account, limit: PEOPLE } }])
    if ((gone?.changes ?? 0) < PEOPLE) return
  }
}
