// What a webhook does not say, and the Admin API does: asked by the shop's domain and by ids as digits, which are also the
// keys of the answers. Ids within an answer are digits or global ids.

/** Nobody can be asked just now: not connected, refused, or no answer in time. */
export type Unavailable = 'unavailable'

/** `total`: over all locations; null where it is not tracked. */
export interface VariantFound { variant: string, product: string, total: number | null }

/** `timeline`: when it ships, as a customer may read it. */
export interface PlanFound { category: string, timeline: string | null }

export interface OrderLineFound { variant: string | null, sellingPlanId: string | null, properties: Array<{ name: string, value: string }> }

export interface LookUps {
  /** By inventory item; those that the shop has not are left out. */
  variants (shop: string, itemIds: string[]): Promise<Map<string, VariantFound> | Unavailable>
  /** By selling plan; those that the shop has not are left out. */
  sellingPlans (shop: string, planIds: string[]): Promise<Map<string, PlanFound> | Unavailable>
  /** All lines of an order, in its order. */
  orderLines (shop: string, orderId: string): Promise<OrderLineFound[] | Unavailable>
}
