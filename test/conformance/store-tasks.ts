// What every store must keep of what a set-up does by itself: how far it is, and that one alone works on it.

import type { Test } from 'tap'
import type { Store } from '../../gateway/contract.ts'
import type { Open } from './store.ts'
import { NOW, one, place, type Place } from './store-rows.ts'

const at = ({ accountKey }: Place, subject = 'things') => ({ account_key: accountKey, step: 'automatic', subject })

async function rows (store: Store, { accountKey }: Place): Promise<object[]> {
  return (await store.read('setup_tasks', { account_key: accountKey })).map(row => ({ ...row }))
}

export async function tasks (t: Test, open: Open): Promise<void> {
  await t.test('a task keeps its id and what was saved, whoever claims it; who had it before saves nothing more', async t => {
    const { store, reopen } = await open(t)
    const where = await place(store)
    const other = await place(store, { account: 'A2' })
    const claim = async (from: Store, run: string, id = 't1', subject?: string) => ({ ...(await one(from, 'claim_task', { ...at(where, subject), id, run, saved_at: NOW })).rows[0] })
    t.strictSame(await claim(store, 'r1'), { id: 't1', done: 'null', shown: '{}', saved_at: NOW })
    const saved = { done: '{"a":1}', shown: '{"phase":"p"}', saved_at: NOW + 5 }
    t.equal((await one(store, 'save_task', { ...at(where), run: 'r1', ...saved })).changes, 1)
    t.equal((await one(store, 'save_task', { ...at(where), run: 'r0', ...saved, done: '{}' })).changes, 0)
    const again = await reopen()
    t.strictSame(await claim(again, 'r2', 't2'), { id: 't1', ...saved }, 'the id stays')
    t.equal((await one(again, 'save_task', { ...at(where), run: 'r1', ...saved, done: '{}' })).changes, 0, 'another one has it')
    t.strictSame(await rows(again, where), [{ step: 'automatic', subject: 'things', id: 't1', run: 'r2', done: '{"a":1}', shown: '{"phase":"p"}' }])
    await claim(again, 'r3', 't3', 'urgent')
    t.equal((await one(again, 'stop_task', at(where))).changes, 1)
    t.strictSame((await rows(again, where)).toSorted((a, b) => JSON.stringify(a) < JSON.stringify(b) ? -1 : 1), [
      { step: 'automatic', subject: 'things', id: 't1', run: null, done: '{"a":1}', shown: '{}' },
      { step: 'automatic', subject: 'urgent', id: 't3', run: 'r3', done: 'null', shown: '{}' }
    ], 'what was done is kept, and other subjects are their own')
    t.equal((await one(again, 'save_task', { ...at(where), run: 'r2', ...saved })).changes, 0)
    t.strictSame(await rows(again, other), [])
  })
}
