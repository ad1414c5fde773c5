// What templates read of the platform that runs the gateway: the options it chose, and where others reach it.

import type { MappingScope } from '../contract.ts'

/** The roots `options` and `gateway` of a scope; one that brings its own, as a case does, is taken at its word. */
export type Platform = (scope: Pick<MappingScope, 'options' | 'gateway'>) => Required<Pick<MappingScope, 'options' | 'gateway'>>

/** `chosen` wins over the manifest's defaults; a null address means that nobody reaches this gateway. */
export function platformOf (defaults: Record<string, unknown>, chosen: Record<string, unknown>, publicUrl: string | null): Platform {
  const own = { options: { ...defaults, ...chosen }, gateway: { url: publicUrl ?? '' } }
  return scope => ({
    options: scope.options === undefined ? own.options : { ...defaults, ...scope.options },
    gateway: scope.gateway ?? own.gateway
  })
}
