// What the code of a provider's folder is written against: index.ts and sandbox.ts import from here.

import { GatewayError } from './errors.ts'
import type { ProviderCode } from './contract.ts'

export type {
  Answer, Ask, LimitGroup, MappingScope, PreparedRequest, ProviderCode, Reconciled,
  SandboxContext, SandboxEntry, SandboxPlugin, Verdict, Window
} from './contract.ts'

const HOOKS: ReadonlySet<string> = new Set(['check', 'reconcile'])

/**
 * The default export of a provider's index.ts: hooks for what provider.yaml has no words for.
 * Throws GW_PROVIDER_CODE for a member that does not exist, so that a misspelt hook is no silent one.
 */
export function defineProvider (code: ProviderCode): Readonly<ProviderCode> {
  if (typeof code.id !== 'string' || code.id === '') throw new GatewayError('GW_PROVIDER_CODE', 'defineProvider needs the id of the folder')
  for (const [name, member] of Object.entries(code)) {
    if (name === 'id') continue
    if (!HOOKS.has(name)) throw new GatewayError('GW_PROVIDER_CODE', `"${name}" is no member of a provider; there are: ${[...HOOKS].join(', ')}`)
    if (typeof member !== 'function') throw new GatewayError('GW_PROVIDER_CODE', `"${name}" must be a function`)
  }
  return Object.freeze({ ...code })
}
