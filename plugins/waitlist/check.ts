// Asked before each alert and each reminder leaves: what was true when it was made need not be true any more.

import type { Message, Row, SourceContext, Verdict } from '../../gateway/define.ts'
import { toldOf } from './alert.ts'

const OWN = /^(sgn_[0-9A-Za-z-]+)\/(alert|reminder)\/\d+$/
/** What waits for its product to be published is looked at again after this. */
const UNPUBLISHED_MS = 60_000

export async function check (message: Message, context: SourceContext): Promise<Verdict> {
  const own = message.source === `/sources/${context.id}` ? OWN.exec(message.sourceId) : null
  if (own === null) return await foreign(message, context)
  const [signUp] = await context.read('waitlist_message', { shop_key: message.shop.key, id: own[1] as string })
  if (signUp === undefined || signUp.state === 5) return { is: 'reject', reason: 'unsubscribed' }
  if (signUp.consent === 0) return { is: 'reject', reason: 'no_consent' }
  if (signUp.bought_at !== null && (signUp.bought_at as number) >= (signUp.joined_at as number)) return { is: 'reject', reason: 'bought_since' }
  return (own[2] === 'reminder' ? reminder(signUp) : alert(signUp, message.sourceId)) ?? published(signUp, context)
}

/** Made by others: all that is known of it is the stock. */
async function foreign ({ shop, data }: Message, context: SourceContext): Promise<Verdict> {
  const { variant } = data as { variant: { id: string } }
  const [stock] = await context.read('waitlist_stock', { shop_key: shop.key, variant: variant.id })
  return isSoldOut(stock?.total, 1) ? { is: 'reject', reason: 'sold_out' } : { is: 'go' }
}

function alert (signUp: Row, sourceId: string): Verdict | null {
  const open = signUp.pending === 1 && signUp.alert_id === sourceId
  if (open && signUp.wave_state === 2) return { is: 'reject', reason: signUp.wave_reason === 'sold_out' ? 'sold_out' : 'wave_stopped' }
  if (signUp.kind === 'manual') return null
  return isSoldOut(signUp.total, signUp.threshold as number | null ?? 1) ? { is: 'reject', reason: 'sold_out' } : null
}

function reminder ({ total }: Row): Verdict | null {
  return isSoldOut(total, 1) ? { is: 'reject', reason: 'sold_out' } : null
}

function published ({ product }: Row, context: SourceContext): Verdict {
  return toldOf(product)?.product.available === false ? { is: 'defer', untilAt: context.now() + UNPUBLISHED_MS, reason: 'product_unavailable' } : { is: 'go' }
}

function isSoldOut (total: unknown, threshold: number): boolean { return typeof total === 'number' && total < threshold }
