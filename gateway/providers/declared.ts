// What the config says of shops and only a provider can judge.

import type { ConnectionConfig, Fault, Provider, Secret, ShopConfig, SourceFile } from '../contract.ts'
import { CODES } from '../errors.ts'
import { step } from '../json-pointer.ts'

interface WrittenSecret { generate?: boolean, prefix?: string }
interface Connection { provider: string, settings?: Record<string, unknown>, secrets?: Record<string, WrittenSecret>, [key: string]: unknown }
interface Declared { shops?: Array<{ id: string, connections?: Connection[] }> }

/** What is made for a secret that is to be generated has this form: 32 bytes in base64url. */
const GENERATED = '0123456789-ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcde'

/**
 * Faults of the connections that the config gives its shops, each at its value. `from`: the config, without faults of its own;
 * `shops`: those of them that are there.
 */
export function declaredFaults (from: SourceFile, providers: ReadonlyMap<string, Provider>, shops: readonly ShopConfig[]): Fault[] {
  const { shops: written = [] } = from.value as Declared
  return written.flatMap(({ id, connections = [] }, i) => connections.flatMap((connection, j) => {
    const provider = providers.get(connection.provider)
    if (provider === undefined) return []
    const at = `/shops/${i}/connections/${j}`
    const details = provider.settingsFaults(connection.settings ?? {})
    return [
      ...details.map(({ path, message }) => from.fault('GW_MAPPING_SYNTAX', at + path, message, CODES.GW_MAPPING_SYNTAX.fix)),
      ...(provider.connection === 'gateway' ? notTheShops(connection, provider.id, at, from) : secretFaults(shops.find(shop => shop.id === id)?.connections[j], connection, provider, at, from))
    ]
  }))
}

/** Never the value. None of a shop that is not there: its secrets were not read. */
function secretFaults (given: ConnectionConfig | undefined, { secrets: written = {} }: Connection, provider: Provider, at: string, from: SourceFile): Fault[] {
  if (given === undefined) return []
  const way = given.auth ?? Object.keys(provider.auth)[0] as string
  if (provider.auth[way]?.oauth2) return [from.fault('GW_CONFIG_VALUE', at, `${provider.title} asks the merchant in the browser for "${way}": nothing can be declared for it`, 'Remove the connection, or give it another way under auth.')]
  const secrets = Object.fromEntries(Object.entries(given.secrets).map(([field, secret]) => [field, textOf(secret, written[field])]))
  return provider.secretFaults(way, secrets).map(({ path, message }) => {
    const generated = Object.entries(written).some(([field, { generate }]) => generate === true && path === `/secrets${step(field)}`)
    const fix = generated ? 'Correct its prefix, and delete the file if it was made already.' : 'Give the right one.'
    return from.fault('GW_CONFIG_SECRET', at + path, `${provider.title} takes no such secret. ${message}`, fix)
  })
}

/** One that is made at the next start cannot be read yet: what it will look like. */
function textOf (secret: Secret, written: WrittenSecret | undefined): string {
  try {
    return secret.reveal()
  } catch {
    return (written?.prefix ?? '') + GENERATED
  }
}

/** Of the platform's account a shop has nothing to give but settings. */
function notTheShops (connection: Connection, id: string, at: string, from: SourceFile): Fault[] {
  return ['auth', 'secrets', 'account_id', 'ready'].filter(key => Object.hasOwn(connection, key))
    .map(key => from.fault('GW_CONFIG_VALUE', `${at}/${key}`, `a shop has no account of its own at ${id}: it gives settings only`, `Remove it; the platform's account stands under providers.${id}.connection.`, { key: true }))
}
