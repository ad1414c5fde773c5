// What is kept beside the events is about goods and plans, not about people; with the shop it goes.

import type { SourcePrivacy } from '../../gateway/define.ts'

export const privacy: SourcePrivacy = {
  redact: async () => {},
  export: async () => null,
  forgetShop: async (shopKey, { commit }) => {
    await commit(['shopify_forget_items', 'shopify_forget_products', 'shopify_forget_billing'].map(name => ({ name, params: { shop_key: shopKey } })))
  }
}
