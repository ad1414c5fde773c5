// Answers to a set-up's questions that are larger than what a delivery is answered.

import t from 'tap'
import { act, flowsFor, itemOf, KEY, setUpAll, startSetupApp, world } from '../helpers/setup.ts'

const KIB = 1024
const LISTS = [{ id: 'l1', name: 'News' }]

t.test('a page of a list is read whole, however long its words are, up to 2 MiB', async t => {
  const app = await startSetupApp(t)
  await act(app, 'key/connect', { secrets: { api_key: KEY } })
  const lists = Array.from({ length: 1000 }, (_, i) => ({ id: `l${i}`, name: `List ${i} ${'x'.repeat(120)}` }))
  await world(app, { lists, bulk: 1500 * KIB })
  const item = itemOf((await act(app, 'list/refresh')).body, 'list')
  t.match(item, { state: 'open', reason: null })
  t.strictSame((item['options'] as Array<{ value: string }>).map(({ value }) => value), lists.map(({ id }) => id))
  t.match((await act(app, 'list/select', { value: 'l999' })).status, 200)
})

t.test('a larger one is told as such, and says nothing of the step: it stays as it was, and so do messages', async t => {
  const app = await startSetupApp(t)
  await setUpAll(app)
  await world(app, { lists: LISTS, bulk: 2048 * KIB })
  const { body } = await act(app, 'list/refresh')
  t.match(itemOf(body, 'list'), { state: 'done', reason: 'answer_too_large', sentence: 'Beacon answered with more than is read; the operator must ask for less of it.', detail: 'the answer was larger than 2 MiB', selected: 'l1' })
  t.match(body, { summary: '3 of 3 ready' })
  await world(app, { bulk: 0 })
  t.match(itemOf((await act(app, 'list/refresh')).body, 'list'), { state: 'done', reason: null, detail: null })
})

t.test('nor is a list of many such pages read to its end: all of it would be in memory', async t => {
  const app = await startSetupApp(t)
  await setUpAll(app)
  const flows = Array.from({ length: 20 }, (_, i) => ({ ...flowsFor()[0]!, id: `f${i}`, name: `Flow ${i}` }))
  await world(app, { flows, bulk: 2000 * KIB })
  const { body } = await act(app, 'flow/verify', { subject: 'preorder.confirmed', input: { flow_name: 'Flow 19' } })
  t.match(itemOf(body, 'flow', 'preorder.confirmed'), { state: 'done', reason: 'answer_too_large', detail: 'the list was larger than 4 MiB' })
  await world(app, { flows, bulk: 200 * KIB })
  const again = await act(app, 'flow/verify', { subject: 'preorder.confirmed', input: { flow_name: 'Flow 19' } })
  t.match(itemOf(again.body, 'flow', 'preorder.confirmed'), { state: 'failed', reason: 'not_verified', findings: [{ id: 'name', ok: true }] }, 'to its end, where it is smaller')
})
