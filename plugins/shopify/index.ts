// Shopify's webhooks: who signed them, what is kept of them, and which events follow.

import { defineSource } from '../../gateway/define.ts'
import { OPTIONS } from './options.ts'
import { translate } from './translate.ts'
import { webhook } from './webhook.ts'

export default defineSource({ id: 'shopify', secrets: ['client_secret'], options: OPTIONS, events: ['order.placed', 'preorder.confirmed'], routes: webhook, translate })
