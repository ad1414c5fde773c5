// The flows that automatic set-up makes, by event type. Their messages are Klaviyo's templates, over the properties
// of the event; the merchant's own name, the opt-out and short links are added by Klaviyo (mapping/create_flow.yaml).

/** What the request create_flow reads as `map`, besides `metric_id`. */
export interface FlowText { name: string, message: string, transactional: boolean }

/** By event type; the name is always that of the metric after "STOQ - ". */
export const FLOW_TEXTS: Readonly<Record<string, FlowText>> = {
  'back_in_stock.alert': {
    name: 'STOQ - Back in stock SMS alert (STOQ)',
    message: '{{ event.title_incl_variant }} is back in stock! Get it here: {{ event.purchase_link }}',
    transactional: false
  },
  'back_in_stock.reminder': {
    name: 'STOQ - Back in stock SMS reminder 1 (STOQ)',
    message: '{{ event.title_incl_variant }} is still in stock, but may not be for long: {{ event.purchase_link }}',
    transactional: false
  },
  // Transactional: it tells of an order, and must not advertise.
  'preorder.confirmed': {
    name: 'STOQ - Preorder SMS confirmed (STOQ)',
    message: 'Your preorder {{ event.order_name }} is confirmed: {{ event.first_product }}{% if event.other_count > 0 %} and {{ event.other_count }} more{% endif %}.{% if event.shipping_timeline %} {{ event.shipping_timeline }}{% endif %}',
    transactional: true
  }
}
