// Settings that a provider's answer asked for, once it has accepted a message made with them.

import type { Row } from '../contract.ts'

export interface KeepOptions {
  shops: { adjust (shop: string, provider: string, settings: Record<string, unknown>): Promise<void> }
  onError (error: unknown): void
}

/** The connection keeps them. Where that fails, the next delivery is refused once more, and brings them again. */
export async function keepAdjusted (row: Row, shop: string, provider: string, { shops, onError }: KeepOptions): Promise<void> {
  try {
    await shops.adjust(shop, provider, JSON.parse(row.adjusted as string) as Record<string, unknown>)
  } catch (error) {
    onError(error)
  }
}
