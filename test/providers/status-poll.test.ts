// How a manifest says that a message is asked about: each fault by code and place.

import { join } from 'node:path'
import t from 'tap'
import { HiddenSecret } from '../../gateway/config/secret.ts'
import { HOUSE_ID } from '../helpers/house-provider.ts'
import { entry, load, loadOne, writeFolder } from '../helpers/providers.ts'
import { POLL, TELLER } from '../helpers/teller.ts'

const SECRET = new HiddenSecret('made-up-0123456789', null)
const MORE = { options: { sender: '+12015550100' }, connection: { auth: null, accountId: 'AC1', secrets: { user: SECRET, password: SECRET } } }
const BROKEN: Array<[string, string, string, string]> = [
  ['a request that is not there', 'request: look,', 'GW_CONFIG_REFERENCE', 'request: message_s,'],
  ['a request that does not read the message', 'request: look,', 'GW_CONFIG_REFERENCE', 'request: message,'],
  ['times that do not rise', '[1h, 24h]', 'GW_CONFIG_VALUE', '[1h, 60m]'],
  ['no times', '[1h, 24h]', 'GW_CONFIG_VALUE', '[]'],
  ['a time that is none', '[1h, 24h]', 'GW_CONFIG_VALUE', '[soon]'],
  ['a key that is none', 'after:', 'GW_CONFIG_UNKNOWN_KEY', 'afterwards: [1h], after:']
]

t.test('each fault of status_poll is named by code and place', async t => {
  const dir = t.testdir()
  for (const [i, [what, from, code, to]] of BROKEN.entries()) {
    const text = String(TELLER['provider.yaml']).replace(POLL, POLL.replace(from, to))
    const { faults } = await load([entry(HOUSE_ID, writeFolder(join(dir, String(i)), { ...TELLER, 'provider.yaml': text }), MORE)])
    t.match(faults, [{ code }], what)
    t.equal(faults.length, 1, `${what}: ${JSON.stringify(faults)}`)
    t.equal(text.split('\n')[(faults[0]?.place.line ?? 0) - 1]?.startsWith('status_poll:'), true, what)
  }
})

t.test('whoever asks must be able to read the answer', async t => {
  const code = TELLER['index.ts'].replace(/,\n {2}reported:.*\n/, '\n')
  t.notMatch(code, /reported/)
  const { faults } = await load([entry(HOUSE_ID, writeFolder(t.testdir(), { ...TELLER, 'index.ts': code }), MORE)])
  t.match(faults, [{ code: 'GW_PROVIDER_CODE', path: '/status_poll', message: /reported/ }])
})

t.test('without it nobody asks', async t => {
  const dir = t.testdir()
  t.strictSame((await loadOne(entry(HOUSE_ID, writeFolder(join(dir, 'a'), TELLER), MORE))).statusPoll, { request: 'look', afterMs: [3_600_000, 86_400_000] })
  t.equal((await loadOne(entry(HOUSE_ID, writeFolder(join(dir, 'b'), { ...TELLER, 'provider.yaml': String(TELLER['provider.yaml']).replace(POLL, '') }), MORE))).statusPoll, null)
})
