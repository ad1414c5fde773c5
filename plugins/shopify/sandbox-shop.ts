// A shop as the sandbox plays it: what it sells, who bought, what the app may ask, and how much of it.

import { GraphQLError } from 'graphql'

export interface ShopData {
  items?: Array<{ id: string, tracked?: boolean, variants: string[] }>
  variants?: Array<{ id: string, product: string, quantity: number | null, item?: string }>
  plans?: Array<{ id: string, name?: string, category: string, trigger?: string, time?: string }>
  orders?: Array<{ id: string, lines: Array<{ variant?: string, plan?: string, quantity?: number, properties?: Record<string, string> }> }>
  customers?: Array<{ id: string, phone?: string, state?: string, level?: string, at?: string }>
  subscriptions?: Array<{ id: string, topic: string, uri: string, name?: string }>
  scopes?: string[]
  /** Instead of the shop's own. */
  domain?: string
  points?: { maximum: number, per_second: number, status?: 200 | 429 }
  /** Of the tokens that are given out. */
  token_life_s?: number
  /** Only tokens that end are taken. */
  expiring_only?: boolean
  /** Tokens that are refused from now on. */
  revoked?: string[]
}

type Listed = 'items' | 'variants' | 'plans' | 'orders' | 'customers' | 'subscriptions'
const LISTED: readonly Listed[] = ['items', 'variants', 'plans', 'orders', 'customers', 'subscriptions']
const ALL_SCOPES = ['read_products', 'read_inventory', 'read_orders', 'read_customers', 'read_purchase_options']
const ADDRESS = /^https:\/\/|^http:\/\/(127\.0\.0\.1|localhost)[:/]/

type Thing = { id: string } & Record<string, unknown>
interface Page { first?: number, after?: string | null }

export class SandboxShop {
  readonly domain: string
  data: ShopData = {}
  #things = new Map<Listed, Map<string, Thing>>(LISTED.map(name => [name, new Map()]))
  #available: number | null = null
  #at = 0
  #next = 1000

  constructor (domain: string) { this.domain = domain }

  /** Lists are merged by id; the rest is replaced. */
  set (data: ShopData): void {
    this.data = { ...this.data, ...data }
    for (const name of LISTED) for (const thing of data[name] ?? []) this.#things.get(name)?.set(thing.id, thing as Thing)
  }

  get points (): { maximum: number, per_second: number, status?: 200 | 429 } { return this.data.points ?? { maximum: 2000, per_second: 100 } }

  /** What is left now. */
  available (now: number): number {
    const { maximum, per_second: perSecond } = this.points
    this.#available = Math.min(maximum, (this.#available ?? maximum) + (now - this.#at) / 1000 * perSecond)
    this.#at = now
    return this.#available
  }

  pay (points: number): void { this.#available = (this.#available ?? 0) - points }

  /** The root of a question. */
  get root (): Record<string, unknown> {
    return {
      nodes: ({ ids }: { ids: string[] }) => ids.map(id => this.#nodeLater(id)),
      shop: () => ({ id: 'gid://shopify/Shop/1', myshopifyDomain: this.data.domain ?? this.domain }),
      currentAppInstallation: () => ({ id: 'gid://shopify/AppInstallation/1', accessScopes: this.#scopes.map(handle => ({ handle })) }),
      order: ({ id }: { id: string }) => { this.#needs('read_orders', 'order'); return this.#order(id) },
      customer: ({ id }: { id: string }) => { this.#needs('read_customers', 'customer'); return this.#customer(id) },
      webhookSubscriptions: (page: Page) => paged([...this.#all('subscriptions').values()], page),
      webhookSubscriptionCreate: (given: { topic: string, webhookSubscription: { uri?: string, name?: string } }) => this.#subscribe(given),
      webhookSubscriptionDelete: ({ id }: { id: string }) => this.#all('subscriptions').delete(id)
        ? { deletedWebhookSubscriptionId: id, userErrors: [] }
        : { deletedWebhookSubscriptionId: null, userErrors: [{ field: ['id'], message: 'Webhook subscription does not exist' }] }
    }
  }

  get #scopes (): string[] { return this.data.scopes ?? ALL_SCOPES }

  #all (name: Listed): Map<string, Thing> { return this.#things.get(name) as Map<string, Thing> }

  #needs (scope: string, field: string): void {
    if (this.#scopes.includes(scope)) return
    throw new GraphQLError(`Access denied for ${field} field. Required access: \`${scope}\` access scope.`, { extensions: { code: 'ACCESS_DENIED', documentation: 'https://shopify.dev/api/usage/access-scopes', requiredAccess: `\`${scope}\` access scope.` } })
  }

  /** An error of one does not spoil the others. */
  async #nodeLater (gid: string): Promise<unknown> { return this.#node(gid) }

  #node (gid: string): unknown {
    const [, type, id = ''] = /^gid:\/\/shopify\/(\w+)\/(\d+)$/.exec(gid) ?? []
    if (type === undefined) throw new GraphQLError(`Invalid global id '${gid}'`, { extensions: { code: 'argumentLiteralsIncompatible' } })
    if (id.startsWith('500500')) throw new GraphQLError('Internal error. Looks like something went wrong on our end.', { extensions: { code: 'INTERNAL_SERVER_ERROR' } })
    if (type === 'InventoryItem') { this.#needs('read_inventory', 'inventoryItem'); return this.#item(id) }
    if (type === 'ProductVariant') { this.#needs('read_products', 'productVariant'); return this.#variant(id) }
    if (type === 'SellingPlan') { this.#needs('read_products', 'sellingPlan'); return this.#plan(id) }
    return null
  }

  #item (id: string): object | null {
    const item = this.#all('items').get(id) as Thing & { tracked?: boolean, variants: string[] } | undefined
    if (item === undefined) return null
    const variants = (page: Page) => paged(item.variants.flatMap(variant => this.#variant(variant) ?? []), page)
    return { __typename: 'InventoryItem', id: `gid://shopify/InventoryItem/${id}`, tracked: item.tracked ?? true, variants, variant: () => this.#variant(item.variants[0] ?? '') }
  }

  #variant (id: string): object | null {
    const variant = this.#all('variants').get(id) as Thing & { product: string, quantity: number | null, item?: string } | undefined
    if (variant === undefined) return null
    return {
      __typename: 'ProductVariant',
      id: `gid://shopify/ProductVariant/${id}`,
      title: 'Default Title',
      inventoryQuantity: variant.quantity,
      inventoryItem: () => this.#item(variant.item ?? '') ?? { id: 'gid://shopify/InventoryItem/1', tracked: true },
      product: { id: `gid://shopify/Product/${variant.product}`, title: 'Product' }
    }
  }

  #plan (id: string): object | null {
    const plan = this.#all('plans').get(id)
    if (plan === undefined) return null
    const { name, category, trigger, time } = plan as { name?: string, category?: string, trigger?: string, time?: string }
    const deliveryPolicy = trigger === undefined ? { __typename: 'SellingPlanRecurringDeliveryPolicy', intervalCount: 1 } : { __typename: 'SellingPlanFixedDeliveryPolicy', fulfillmentTrigger: trigger, fulfillmentExactTime: time ?? null }
    return { __typename: 'SellingPlan', id: `gid://shopify/SellingPlan/${id}`, name: name ?? 'Plan', category, deliveryPolicy }
  }

  #order (gid: string): object | null {
    const order = this.#all('orders').get(gid.slice(gid.lastIndexOf('/') + 1)) as Thing & { lines: Array<{ variant?: string, plan?: string, quantity?: number, properties?: Record<string, string> }> } | undefined
    if (order === undefined) return null
    const lines = order.lines.map(({ variant, plan, quantity, properties }, i) => ({
      id: `gid://shopify/LineItem/${i + 1}`,
      quantity: quantity ?? 1,
      variant: variant === undefined ? null : this.#variant(variant),
      customAttributes: Object.entries(properties ?? {}).map(([key, value]) => ({ key, value })),
      sellingPlan: plan === undefined ? null : { name: 'Plan', sellingPlanId: `gid://shopify/SellingPlan/${plan}` }
    }))
    return { id: gid, lineItems: (page: Page) => paged(lines, page) }
  }

  #customer (gid: string): object | null {
    const customer = this.#all('customers').get(gid.slice(gid.lastIndexOf('/') + 1))
    if (customer === undefined) return null
    const { phone, state, level, at } = customer as { phone?: string, state?: string, level?: string, at?: string }
    return { id: gid, defaultPhoneNumber: phone === undefined ? null : { phoneNumber: phone, marketingState: state ?? 'NOT_SUBSCRIBED', marketingOptInLevel: level ?? null, marketingUpdatedAt: at ?? null } }
  }

  #subscribe ({ topic, webhookSubscription: { uri, name } }: { topic: string, webhookSubscription: { uri?: string, name?: string } }): object {
    const refused = (message: string): object => ({ webhookSubscription: null, userErrors: [{ field: ['webhookSubscription', 'uri'], message }] })
    if (uri === undefined || !ADDRESS.test(uri)) return refused('Address is not allowed: it must be https')
    if (name !== undefined && !/^[\w-]{1,50}$/.test(name)) return refused('Name may have letters, digits, _ and - only, at most 50')
    if (topic.startsWith('ORDERS_') && !this.#scopes.includes('read_orders')) return refused('You do not have permission to create or update webhooks with this topic')
    const all = this.#all('subscriptions')
    if ([...all.values()].some(one => one['topic'] === topic && one['uri'] === uri)) return refused('Address for this topic has already been taken')
    const made = { id: `gid://shopify/WebhookSubscription/${this.#next++}`, topic, uri, name: name ?? null }
    all.set(made.id, made)
    return { webhookSubscription: made, userErrors: [] }
  }
}

/** Cursors are places in the list. */
function paged<T> (all: readonly T[], { first = 50, after }: Page): { nodes: T[], pageInfo: { hasNextPage: boolean, endCursor: string | null } } {
  const from = after == null ? 0 : Number(after)
  const nodes = all.slice(from, from + first)
  return { nodes, pageInfo: { hasNextPage: from + nodes.length < all.length, endCursor: nodes.length === 0 ? null : String(from + nodes.length) } }
}
