// Two instances may change a shop at the same time: who comes second starts over from what the first one left.

import { GatewayError } from '../errors.ts'

const TRIES = 5

/** Another instance has changed the shop since it was read. */
export class Moved extends Error {}

/** Made anew where somebody got ahead. Throws GW_CONFLICT where that happens each time. */
export async function unmoved<T> (change: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await change()
    } catch (error) {
      if (!(error instanceof Moved)) throw error
      if (tries === TRIES) throw new GatewayError('GW_CONFLICT', 'Another change of this shop came in between.', { cause: error })
    }
  }
}
