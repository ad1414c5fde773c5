// /oauth/<provider>/start: a page that says which shop is to be connected to what. Whoever has a link may have been sent it by
// anybody: only a person who has read the page and pressed its button goes on. To look at it uses up nothing.

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { OAuth2, Provider } from '../../contract.ts'
import type { Shop } from '../state.ts'
import { look, type FlowOptions } from './flows.ts'
import { asking, page, quoted, sentOn } from './pages.ts'
import { startPath } from './platform-app.ts'

/** A link, a state or a page that is not good, or not any more. */
export class Expired extends Error {}

export interface LeavingOptions extends FlowOptions {
  provider: Provider
  way: OAuth2
  shop (key: number): Promise<Shop>
  publicUrl (): string | null
  /** Uses the ticket up, and gives the provider's address to go to. Throws Expired. */
  leave (request: FastifyRequest, reply: FastifyReply): Promise<string>
}

/** Of a parameter that is given twice a list. */
export type Query = Record<string, string | string[] | undefined>

export function leavingRoutes (scope: FastifyInstance, options: LeavingOptions): void {
  const { provider, way, publicUrl, shop, leave } = options
  const path = startPath(provider.id)
  // The form has no fields: the page's own address says it all. Nothing else is posted here.
  scope.removeAllContentTypeParsers()
  scope.addContentTypeParser('application/x-www-form-urlencoded', { parseAs: 'string', bodyLimit: 1024 }, async () => ({}))

  scope.get<{ Querystring: Query }>(path, async (request, reply) => {
    const seen = await look(provider.id, request.query['ticket'], options)
    if (seen === null) throw new Expired()
    const { name, domain } = await shop(seen.shopKey)
    return asking(reply, {
      title: `Connect ${quoted(name)} to ${provider.title}`,
      texts: [
        `The shop ${nameOf({ name, domain })} is to be connected to a ${provider.title} account.`,
        `${provider.title} will ask you to log in and to allow it. The account you are logged in to there is the one that is connected: messages of ${quoted(name)} can be sent through it from then on.`,
        'You do not know this shop, or did not begin this yourself in your app? Close this page. Nothing has happened yet.'
      ],
      button: `Continue to ${provider.title}`,
      leadsOverUrls: [way.authorizeUrl, ...(seen.returnUrl === null ? [] : [seen.returnUrl])]
    })
  })

  scope.post(path, async (request, reply) => {
    if (!isOurs(request, publicUrl())) return page(reply, 403, `${provider.title} is not connected`, 'This was not sent from our own page. Open the link from your app once more, and press the button there.')
    return sentOn(reply, await leave(request, reply))
  })
}

/** As merchants know it. */
export function nameOf ({ name, domain }: Pick<Shop, 'name' | 'domain'>): string { return `${quoted(name)} (${quoted(domain)})` }

/** Sent by a page of this address, as the browser says; one that says nothing of it is not believed. */
function isOurs ({ headers: { origin, 'sec-fetch-site': site } }: FastifyRequest, ours: string | null): boolean {
  if (ours === null || (origin === undefined && site === undefined)) return false
  return (site === undefined || site === 'same-origin') && (origin === undefined || origin === new URL(ours).origin)
}
