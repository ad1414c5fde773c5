// What a merchant's browser is shown: a few words, and nothing that could run or be sent on.

import type { FastifyReply } from 'fastify'

const SHOWN_CHARS = 200

/** `formAction`: where a form of the page may lead, as a source list of CSP. */
function headers (formAction: string, referrer: 'no-referrer' | 'same-origin') {
  return {
    'content-type': 'text/html; charset=utf-8',
    'cache-control': 'no-store',
    'referrer-policy': referrer,
    'content-security-policy': `default-src 'none'; base-uri 'none'; form-action ${formAction}; frame-ancestors 'none'`,
    'x-content-type-options': 'nosniff'
  }
}

const SILENT = headers("'none'", 'no-referrer')

export function page (reply: FastifyReply, status: number, title: string, text: string): FastifyReply {
  return reply.code(status).headers(SILENT).send(html(title, [text], ''))
}

/**
 * A page with one button, which posts to the page's own address. `leadsOverUrls`: where that may lead in the end.
 * Some browsers hold `form-action` against all redirects that follow, of which a provider has its own: https they may be.
 * Told no referrer at all, a browser would not tell us either that the form is our own.
 */
export function asking (reply: FastifyReply, { title, texts, button, leadsOverUrls }: { title: string, texts: readonly string[], button: string, leadsOverUrls: readonly string[] }): FastifyReply {
  const plain = leadsOverUrls.map(url => new URL(url)).filter(({ protocol }) => protocol === 'http:').map(({ origin }) => origin)
  const formAction = ["'self'", 'https:', ...new Set(plain)].join(' ')
  return reply.code(200).headers(headers(formAction, 'same-origin')).send(html(title, texts, `<form method="post"><button type="submit">${escaped(button)}</button></form>`))
}

/** Elsewhere, telling nobody where from. */
export function sentOn (reply: FastifyReply, url: string): FastifyReply {
  return reply.code(303).headers(SILENT).header('location', url).send()
}

/** What others wrote, cut. */
export function quoted (text: unknown): string {
  const all = typeof text === 'string' ? text : JSON.stringify(text) ?? ''
  return all.replaceAll(/[\p{Cc}\p{Cf}]/gu, ' ').slice(0, SHOWN_CHARS)
}

function html (title: string, texts: readonly string[], form: string): string {
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>${escaped(title)}</title></head>` +
    `<body><main><h1>${escaped(title)}</h1>${texts.map(text => `<p>${escaped(text)}</p>`).join('')}${form}</main></body></html>`
}

function escaped (text: string): string { return text.replaceAll(/[&<>"'`]/g, character => `&#${character.charCodeAt(0)};`) }
