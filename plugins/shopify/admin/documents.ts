// The questions to the Admin API, all of them: checked against its schema of version 2026-10.

/** `points`: what it is thought to cost by itself, and for each id that is asked for; the first answer says better. */
export interface Document { name: string, text: string, points: { fixed: number, perId: number }, /** Changes something: it is not sent again where its answer was lost. */ changes?: true }

/** Ids in one question. A query may cost 1,000 points at most. */
export const IDS_MAX = 40

const query = (name: string, perId: number, fixed: number, text: string): Document => ({ name, text, points: { fixed, perId } })
const change = (name: string, text: string): Document => ({ ...query(name, 0, 10, text), changes: true })

/** An item has one variant nearly always; ten is what is read of one that has more. */
export const ITEMS = query('Items', 22, 1, `query Items($ids: [ID!]!) {
  nodes(ids: $ids) { ... on InventoryItem { id tracked variants(first: 10) { nodes { id inventoryQuantity product { id } } } } }
}`)

export const PLANS = query('Plans', 2, 1, `query Plans($ids: [ID!]!) {
  nodes(ids: $ids) { ... on SellingPlan { id category deliveryPolicy { __typename ... on SellingPlanFixedDeliveryPolicy { fulfillmentTrigger fulfillmentExactTime } } } }
}`)

export const STOCK = query('Stock', 3, 1, `query Stock($ids: [ID!]!) {
  nodes(ids: $ids) { ... on ProductVariant { id inventoryQuantity inventoryItem { tracked } product { id } } }
}`)

export const ORDER_LINES = query('OrderLines', 0, 402, `query OrderLines($id: ID!, $after: String) {
  order(id: $id) { lineItems(first: 100, after: $after) {
    pageInfo { hasNextPage endCursor }
    nodes { variant { id } customAttributes { key value } sellingPlan { sellingPlanId } }
  } }
}`)

export const CONSENT = query('Consent', 0, 2, `query Consent($id: ID!) {
  customer(id: $id) { id defaultPhoneNumber { phoneNumber marketingState marketingOptInLevel marketingUpdatedAt } }
}`)

export const SHOP = query('Shop', 0, 3, `query Shop {
  shop { myshopifyDomain }
  currentAppInstallation { accessScopes { handle } }
}`)

export const SUBSCRIPTIONS = query('Subscriptions', 0, 55, `query Subscriptions($after: String) {
  webhookSubscriptions(first: 50, after: $after) { pageInfo { hasNextPage endCursor } nodes { id topic uri name } }
}`)

export const SUBSCRIBE = change('Subscribe', `mutation Subscribe($topic: WebhookSubscriptionTopic!, $subscription: WebhookSubscriptionInput!) {
  webhookSubscriptionCreate(topic: $topic, webhookSubscription: $subscription) { webhookSubscription { id } userErrors { field message } }
}`)

export const UNSUBSCRIBE = change('Unsubscribe', `mutation Unsubscribe($id: ID!) {
  webhookSubscriptionDelete(id: $id) { deletedWebhookSubscriptionId userErrors { field message } }
}`)

/** For tests, which hold them to the schema. */
export const DOCUMENTS: readonly Document[] = [ITEMS, PLANS, STOCK, ORDER_LINES, CONSENT, SHOP, SUBSCRIPTIONS, SUBSCRIBE, UNSUBSCRIBE]
