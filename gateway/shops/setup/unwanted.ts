// Tokens that were given and not used: refused by their check, not checked at all, or put aside for newer ones.

import type { Provider, Step } from '../../contract.ts'
import { opened } from '../connections.ts'
import { revocationStep } from '../oauth/revocations.ts'
import type { ShopState } from '../shops.ts'
import { at, type SetupOptions } from './facts.ts'

/** The steps that end the grant of what waits for its check at a step. `accountId`: as the provider calls the account, '' where it did not say. */
export async function unwantedSteps ({ state, provider, step }: { state: ShopState, provider: Provider, step: string }, accountId: string, options: Pick<SetupOptions, 'store' | 'vault' | 'runtime'>): Promise<Step[]> {
  if (!provider.setup.some(({ id, kind }) => id === step && kind === 'oauth2')) return []
  const rows = await options.store.read('setup_secrets', { ...at(state, provider), step })
  const refreshToken = opened(rows, state.shop, provider.id, options.vault)?.['refresh_token']
  return refreshToken === undefined ? [] : [revocationStep({ shop: state.shop.id, provider: provider.id, accountId, refreshToken }, options)]
}
