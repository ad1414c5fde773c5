// A provider that hands texts to carriers itself has reasons of its own to refuse them: each can be given by YAML alone.

import t from 'tap'
import type { Outcome } from '../../gateway/contract.ts'
import { REASONS, sentence, type Reason } from '../../gateway/reasons.ts'
import { answer } from '../helpers/answer.ts'
import { MADE } from '../helpers/made-providers.ts'
import { entry, loadOne, writeFolder } from '../helpers/providers.ts'

/** What the carrier says, and what becomes of the message. */
const SAID: Array<[string, 'rejected' | 'hold' | 'retry', Reason]> = [
  ['queue is full', 'retry', 'queue_full'],
  ['quiet hours', 'retry', 'quiet_hours'],
  ['no such account', 'hold', 'account_unknown'],
  ['suspended', 'hold', 'account_suspended'],
  ['wrong sender', 'hold', 'sender_refused'],
  ['sender not registered', 'hold', 'sender_unregistered'],
  ['wrong call-back', 'hold', 'callback_refused'],
  ['stop', 'rejected', 'opted_out'],
  ['nobody there', 'rejected', 'number_unknown'],
  ['landline', 'rejected', 'not_mobile'],
  ['country is off', 'rejected', 'country_not_enabled'],
  ['not verified', 'rejected', 'account_restricted'],
  ['no way', 'rejected', 'no_route'],
  ['too long', 'rejected', 'text_too_long'],
  ['switched off', 'rejected', 'handset_unreachable'],
  ['blocked', 'rejected', 'carrier_blocked'],
  ['filtered', 'rejected', 'carrier_filtered'],
  ['failed', 'rejected', 'carrier_failed'],
  ['too late', 'rejected', 'carrier_too_late'],
  ['pumping', 'rejected', 'abuse_suspected'],
  ['barred', 'rejected', 'recipient_barred']
]

/** The made provider with other rules than its own. */
function folder (dir: string): string {
  const rules = SAID.map(([word, is, reason]) => `  - { status: 4xx, body_at: { pointer: /error, equals: ${word} }, is: ${is}, reason: ${reason}${is === 'retry' ? ', free: true, after: 10m' : ''} }`)
  const manifest = MADE.courier?.['provider.yaml'] ?? ''
  const without = manifest.replace(/^outcomes:.*\n(?:^(?: |#).*\n)*/m, '')
  return writeFolder(dir, { ...MADE.courier, 'provider.yaml': `${without}outcomes:\n${rules.join('\n')}\n` })
}

t.test('each of a carrier\'s reasons can be given, and reads as a sentence', async t => {
  const courier = await loadOne(entry('courier', folder(t.testdir())))
  for (const [word, is, reason] of SAID) {
    const outcome: Outcome = is === 'retry' ? { is, reason, free: true, afterMs: 600_000 } : { is, reason }
    t.strictSame(courier.judge(answer(400, {}, { error: word })), outcome, word)
    t.match(sentence(reason, 'Courier'), /^[A-Z][^{}]{20,}\.$/, reason)
    t.ok(Object.hasOwn(REASONS, reason))
  }
})
