// What is wrong with credentials, before they are used. Their values are never repeated in a fault.

import type { Detail, Provider } from '../contract.ts'
import { MappingError } from '../errors.ts'

/** Everything wrong with the credentials given for a way of authorization. */
export function secretsFaults (provider: Provider, way: string, secrets: Record<string, string>): Detail[] {
  const known = Object.hasOwn(provider.auth, way) ? provider.auth[way] : undefined
  if (!known) return [{ path: '/auth', rule: 'enum', message: `one of ${Object.keys(provider.auth).join(', ')}` }]
  if (known.oauth2) return [{ path: '/auth', rule: 'oauth2', message: `nothing can be given for it: ${provider.title} asks the merchant in the browser, by the step of kind oauth2 of the set-up` }]
  const faults: Detail[] = []
  for (const field of known.fields) if (secrets[field] === undefined) faults.push({ path: `/secrets/${field}`, rule: 'required', message: 'is missing' })
  for (const field of Object.keys(secrets)) if (!known.fields.includes(field)) faults.push({ path: `/secrets/${field}`, rule: 'additionalProperties', message: `is none of ${known.fields.join(', ')}` })
  if (faults.length > 0) return faults
  const misshapen = provider.secretFaults(way, secrets)
  return misshapen.length > 0 ? misshapen : unusable(provider, way, secrets)
}

/** A key with a line break, say, would only show when the first message is sent. */
function unusable (provider: Provider, way: string, secrets: Record<string, string>): Detail[] {
  try {
    provider.authorize(way, secrets)
    return []
  } catch (error) {
    if (error instanceof MappingError) return [{ path: '/secrets', rule: 'usable', message: error.message }]
    throw error
  }
}
