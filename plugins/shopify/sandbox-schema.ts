// Of the Admin API's schema what the gateway asks for, of version 2026-10.

import { buildSchema, type GraphQLSchema } from 'graphql'

const SDL = `
scalar DateTime
schema { query: QueryRoot mutation: Mutation }
interface Node { id: ID! }
type PageInfo { hasNextPage: Boolean! endCursor: String }
type QueryRoot {
  nodes(ids: [ID!]!): [Node]!
  shop: Shop!
  currentAppInstallation: AppInstallation!
  order(id: ID!): Order
  customer(id: ID!): Customer
  webhookSubscriptions(first: Int, after: String): WebhookSubscriptionConnection!
}
type Shop implements Node { id: ID! myshopifyDomain: String! }
type AppInstallation implements Node { id: ID! accessScopes: [AccessScope!]! }
type AccessScope { handle: String! }
type InventoryItem implements Node { id: ID! tracked: Boolean! variants(first: Int, after: String): ProductVariantConnection }
type ProductVariantConnection { nodes: [ProductVariant!]! pageInfo: PageInfo! }
type ProductVariant implements Node { id: ID! title: String! inventoryQuantity: Int inventoryItem: InventoryItem! product: Product! }
type Product implements Node { id: ID! title: String! }
enum SellingPlanCategory { OTHER PRE_ORDER SUBSCRIPTION TRY_BEFORE_YOU_BUY }
enum SellingPlanFulfillmentTrigger { ANCHOR ASAP EXACT_TIME UNKNOWN }
type SellingPlan implements Node { id: ID! name: String! category: SellingPlanCategory deliveryPolicy: SellingPlanDeliveryPolicy! }
union SellingPlanDeliveryPolicy = SellingPlanFixedDeliveryPolicy | SellingPlanRecurringDeliveryPolicy
type SellingPlanFixedDeliveryPolicy { fulfillmentTrigger: SellingPlanFulfillmentTrigger! fulfillmentExactTime: DateTime }
type SellingPlanRecurringDeliveryPolicy { intervalCount: Int! }
type Order implements Node { id: ID! lineItems(first: Int, after: String): LineItemConnection! }
type LineItemConnection { nodes: [LineItem!]! pageInfo: PageInfo! }
type LineItem implements Node { id: ID! quantity: Int! variant: ProductVariant customAttributes: [Attribute!]! sellingPlan: LineItemSellingPlan }
type Attribute { key: String! value: String }
type LineItemSellingPlan { name: String! sellingPlanId: ID }
type Customer implements Node { id: ID! defaultPhoneNumber: CustomerPhoneNumber }
enum CustomerSmsMarketingState { NOT_SUBSCRIBED PENDING REDACTED SUBSCRIBED UNSUBSCRIBED }
enum CustomerMarketingOptInLevel { CONFIRMED_OPT_IN SINGLE_OPT_IN UNKNOWN }
type CustomerPhoneNumber { phoneNumber: String! marketingState: CustomerSmsMarketingState! marketingOptInLevel: CustomerMarketingOptInLevel marketingUpdatedAt: DateTime }
enum WebhookSubscriptionTopic {
  VARIANTS_IN_STOCK VARIANTS_OUT_OF_STOCK INVENTORY_LEVELS_UPDATE INVENTORY_LEVELS_CONNECT INVENTORY_ITEMS_UPDATE PRODUCTS_UPDATE
  ORDERS_CREATE ORDERS_PAID ORDERS_CANCELLED ORDERS_EDITED APP_UNINSTALLED APP_SUBSCRIPTIONS_UPDATE APP_SCOPES_UPDATE THEMES_PUBLISH
}
enum WebhookSubscriptionFormat { JSON XML }
type WebhookSubscription implements Node { id: ID! topic: WebhookSubscriptionTopic! uri: String! name: String }
type WebhookSubscriptionConnection { nodes: [WebhookSubscription!]! pageInfo: PageInfo! }
input WebhookSubscriptionInput { uri: String format: WebhookSubscriptionFormat name: String filter: String includeFields: [String!] }
type UserError { field: [String!] message: String! }
type WebhookSubscriptionCreatePayload { webhookSubscription: WebhookSubscription userErrors: [UserError!]! }
type WebhookSubscriptionDeletePayload { deletedWebhookSubscriptionId: ID userErrors: [UserError!]! }
type Mutation {
  webhookSubscriptionCreate(topic: WebhookSubscriptionTopic!, webhookSubscription: WebhookSubscriptionInput!): WebhookSubscriptionCreatePayload
  webhookSubscriptionDelete(id: ID!): WebhookSubscriptionDeletePayload
}
`

const CURRENT = buildSchema(SDL)
/** Before 2026-01 an inventory item had one variant. */
const OLDER = buildSchema(SDL.replace(' variants(first: Int, after: String): ProductVariantConnection }', ' variant: ProductVariant! }'))

export function schemaOf (version: string): GraphQLSchema { return version < '2026-01' ? OLDER : CURRENT }
