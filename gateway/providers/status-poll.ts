// How a manifest says that a message is asked about whose last word did not come by itself.

import type { Fault, ProviderCode, SourceFile } from '../contract.ts'
import { step } from '../json-pointer.ts'
import type { Manifest, RequestSource } from './manifest.ts'
import { known, type Report } from './report.ts'
import { durationMs } from './units.ts'

export function statusPollOf ({ status_poll: poll }: Manifest): { request: string, afterMs: readonly number[] } | null {
  return poll === undefined ? null : { request: poll.request, afterMs: poll.after.map(durationMs) }
}

export function checkStatusPoll ({ status_poll: poll, requests }: Manifest, report: Report): void {
  if (poll === undefined) return
  const source = Object.hasOwn(requests, poll.request) ? requests[poll.request] as RequestSource : null
  if (source === null) report('/status_poll/request', `no request "${poll.request}"`, known(requests))
  else if (!/\bmap\.receipt\b/.test(JSON.stringify([source.path, source.query, source.body]))) report('/status_poll/request', `requests${step(poll.request)} does not read map.receipt`, 'Write {{ map.receipt }} in it.')
  const afterMs = poll.after.map(durationMs)
  if (afterMs.some((ms, i) => i > 0 && ms <= (afterMs[i - 1] as number))) report('/status_poll/after', 'the times do not rise', 'Write the earliest first.', 'GW_CONFIG_VALUE')
}

/** What is answered must be read by somebody. */
export function pollFaults ({ status_poll: poll }: Manifest, code: ProviderCode, file: SourceFile): Fault[] {
  return poll === undefined || code.reported !== undefined ? [] : [file.fault('GW_PROVIDER_CODE', '/status_poll', 'status_poll needs a reported hook in index.ts', 'Write the hook, or remove status_poll.', { key: true })]
}
