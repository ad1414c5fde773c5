// What a merchant's browser is shown: a few words, and nothing that could run or be sent on.

import type { FastifyReply } from 'fastify'

const HEADERS = {
  'content-type': 'text/html; charset=utf-8',
  'cache-control': 'no-store',
  'referrer-policy': 'no-referrer',
  'content-security-policy': "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff'
} as const
const SHOWN_CHARS = 200

export function page (reply: FastifyReply, status: number, title: string, text: string): FastifyReply {
  return reply.code(status).headers(HEADERS).send(`<!doctype html><html lang="en"><meta charset="utf-8"><title>${escaped(title)}</title><h1>${escaped(title)}</h1><p>${escaped(text)}</p></html>`)
}

/** Elsewhere, telling nobody where from. */
export function sentOn (reply: FastifyReply, url: string): FastifyReply {
  return reply.code(303).headers(HEADERS).header('location', url).send()
}

/** What others wrote, cut. */
export function quoted (text: unknown): string {
  const all = typeof text === 'string' ? text : JSON.stringify(text) ?? ''
  return all.replaceAll(/[\p{Cc}\p{Cf}]/gu, ' ').slice(0, SHOWN_CHARS)
}

function escaped (text: string): string { return text.replaceAll(/[&<>"'`]/g, character => `&#${character.charCodeAt(0)};`) }
