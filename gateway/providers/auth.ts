// Credentials into headers, and the account a provider counts by.

import { MappingError } from '../errors.ts'
import { authReadable, connectionReadable } from './compile.ts'
import type { Compiling } from './compile.ts'
import { compileLeaves, renderHeaders } from './requests.ts'
import { secretFields, type Manifest } from './manifest.ts'
import { step } from '../json-pointer.ts'
import type { Platform } from './platform.ts'

type Authorize = (way: string, secrets: Record<string, string>) => Record<string, string>

/** Compiles the ways of authorization; what it returns throws MappingError, whose message never holds a secret. */
export function compileAuth (manifest: Manifest, platform: Platform, compiling: Compiling): Authorize {
  const ways = new Map(Object.entries(manifest.auth).map(([way, { headers }]) => {
    const readable = authReadable(manifest, secretFields(headers))
    return [way, compileLeaves(headers, `/auth${step(way)}/headers`, readable, compiling)]
  }))
  return (way, secrets) => {
    const headers = ways.get(way)
    if (headers === undefined) throw new MappingError(`there is no way "${way}" to authorize`)
    return renderHeaders(headers, { secret: secrets, connection: { account_id: '', settings: {} }, ...platform({}) })
  }
}

/** Compiles the `account` template; a connection it cannot be made for counts by its own account id. */
export function compileAccount (manifest: Manifest, compiling: Compiling): (connection: { account_id: string, settings: Record<string, unknown> }) => string {
  const tree = compiling.mapper.compile(manifest.account, compiling.file, '/account', connectionReadable(manifest), compiling.faults)
  return connection => {
    const account = tree.render({ connection })
    return account === null || account === undefined || account === '' ? connection.account_id : String(account)
  }
}
