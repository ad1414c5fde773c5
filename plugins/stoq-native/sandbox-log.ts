// The messages that a sandbox account has made, and how they look from outside as time goes by.

import { randomUUID } from 'node:crypto'
import { SegmentedMessage } from 'sms-segments-calculator'
import { failsFor } from './sandbox-codes.ts'
import type { MessageForm } from './sandbox-form.ts'

/** Kept in all; the oldest go first. */
const KEPT_MAX = 50_000
/** What a Messaging Service sends from here. */
const POOL_NUMBER = '+12015550100'
const SENDING_AFTER_MS = 1000
const SENT_AFTER_MS = 2000
const ENDED_AFTER_MS = 5000

export interface Message {
  sid: string
  account: string
  form: MessageForm
  createdAt: number
  segments: number
}

/** A resource as Twilio answers it; times in RFC 2822, counts as text. */
export type Resource = Record<string, unknown> & { sid: string, status: string, error_code: number | null }

export interface Filter { to?: string, from?: string, sentFrom?: number, sentTo?: number }

export class MessageLog {
  #messages: Message[] = []

  add (account: string, form: MessageForm, now: number): Message {
    const segments = new SegmentedMessage(form.Body, 'auto').segmentsCount
    const message = { sid: `SM${randomUUID().replaceAll('-', '')}`, account, form, createdAt: now, segments }
    this.#messages.push(message)
    if (this.#messages.length > KEPT_MAX) this.#messages.shift()
    return message
  }

  find (account: string, sid: string): Message | null {
    return this.#messages.find(message => message.account === account && message.sid === sid) ?? null
  }

  /** Newest first. A message that is not sent yet has no date of it, so a filter by that date leaves it out. */
  list (account: string, { to, from, sentFrom, sentTo }: Filter, now: number): Message[] {
    return this.#messages.filter(message => {
      if (message.account !== account) return false
      if (to !== undefined && message.form.To !== to) return false
      if (from !== undefined && senderOf(message, now) !== from) return false
      if (sentFrom === undefined && sentTo === undefined) return true
      const sentAt = sentAtOf(message, now)
      return sentAt !== null && sentAt >= (sentFrom ?? -Infinity) && sentAt <= (sentTo ?? Infinity)
    }).toReversed()
  }
}

/** What a message looks like at a time. */
export function resource (message: Message, now: number): Resource {
  const { sid, account, form, createdAt } = message
  const failure = failsFor(form.To)
  const status = statusOf(message, now)
  const ended = status === failure?.status
  const sentAt = sentAtOf(message, now)
  const uri = `/2010-04-01/Accounts/${account}/Messages/${sid}`
  return {
    account_sid: account,
    api_version: '2010-04-01',
    body: form.Body,
    date_created: rfc2822(createdAt),
    date_sent: sentAt === null ? null : rfc2822(sentAt),
    date_updated: rfc2822(sentAt ?? createdAt),
    direction: 'outbound-api',
    error_code: ended ? failure?.code ?? null : null,
    error_message: ended ? failure?.message ?? null : null,
    from: senderOf(message, now),
    messaging_service_sid: form.MessagingServiceSid ?? null,
    num_media: '0',
    num_segments: isPicked(message, now) ? String(message.segments) : '0',
    price: null,
    price_unit: 'USD',
    sid,
    status,
    subresource_uris: { media: `${uri}/Media.json` },
    to: form.To,
    uri: `${uri}.json`
  }
}

function statusOf ({ form, createdAt }: Message, now: number): string {
  const age = now - createdAt
  if (age < SENDING_AFTER_MS) return form.MessagingServiceSid === undefined ? 'queued' : 'accepted'
  if (age < SENT_AFTER_MS) return 'sending'
  return failsFor(form.To)?.status ?? (age < ENDED_AFTER_MS ? 'sent' : 'delivered')
}

/** Null until it is sent, and for good where it failed before. */
function sentAtOf ({ form, createdAt }: Message, now: number): number | null {
  if (now - createdAt < SENT_AFTER_MS || failsFor(form.To)?.status === 'failed') return null
  return createdAt + SENT_AFTER_MS
}

/** With a service the sender is not known at first. */
function isPicked ({ form, createdAt }: Message, now: number): boolean {
  return form.MessagingServiceSid === undefined || now - createdAt >= SENDING_AFTER_MS
}

function senderOf (message: Message, now: number): string | null {
  if (message.form.From !== undefined) return message.form.From
  return isPicked(message, now) ? POOL_NUMBER : null
}

/** `Thu, 24 Aug 2023 05:01:45 +0000`: whole seconds. */
function rfc2822 (at: number): string {
  return new Date(at).toUTCString().replace('GMT', '+0000')
}
