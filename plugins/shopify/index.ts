// Shopify's webhooks: who signed them, what is kept of them, and which events follow.

import { defineSource } from '../../gateway/define.ts'
import { withAdmin } from './admin/index.ts'
import { lookUps } from './admin/look-ups.ts'
import { orderJobs } from './again.ts'
import { newOrder } from './orders.ts'
import { OPTIONS } from './options.ts'
import { privacy } from './privacy.ts'
import { statements } from './statements.ts'
import { translator } from './translate.ts'
import { webhook } from './webhook.ts'

export default defineSource(withAdmin({
  id: 'shopify',
  secrets: ['client_secret'],
  options: OPTIONS,
  events: ['order.placed', 'preorder.confirmed', 'stock.changed', 'product.updated', 'shop.updated', 'customer.redact', 'customer.data_request', 'shop.redact'],
  routes: webhook,
  translate: translator(lookUps),
  statements,
  jobs: orderJobs(lookUps, work => newOrder(work, [])),
  privacy
}))
