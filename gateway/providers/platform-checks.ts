// What the config gives a provider of the platform's own: options, and the account where there is only that one.

import type { ErrorObject, ValidateFunction } from 'ajv'
import { CODES, nearest, type Code } from '../errors.ts'
import type { Fault, GatewayConnectionConfig, ProviderCode, ProviderConfig, SourceFile } from '../contract.ts'
import { schemaCompiler } from '../json-schema.ts'
import { step } from '../json-pointer.ts'
import { secretFields, type Manifest } from './manifest.ts'
import { optionFaults } from './quiet-hours.ts'

/** A fault at a place below the provider's entry in the config. */
type Report = (below: string, message: string, fix: string, code: Code, key?: boolean) => void

/** Every fault of the config's entry as far as the manifest says what belongs there. */
export function platformFaults (manifest: Manifest, config: ProviderConfig, from: SourceFile): Fault[] {
  const faults: Fault[] = []
  const report = reporter(faults, config, from)
  checkOptions(manifest, config, report)
  optionFaults(manifest, config.options, (option, message, fix) => { report(`/options${step(option)}`, message, fix, 'GW_CONFIG_VALUE') })
  if (!config.comingSoon) needOptions(manifest, config, report)
  if (manifest.connection === 'shop') refuseAccount(config, report)
  else if (config.connection !== null) checkAccount(manifest, config.connection, report)
  else if (!config.comingSoon) missAccount(manifest, config, report)
  return faults
}

/** Every fault of the secrets that the code of the folder asks for. None is asked for while nothing of it answers. `together`: all of them or none. */
export function secretFaults ({ secrets: needed = [] }: ProviderCode, config: ProviderConfig, from: SourceFile, together: readonly string[] = []): Fault[] {
  const faults: Fault[] = []
  if (config.comingSoon) return faults
  const report = reporter(faults, config, from)
  const given = Object.keys(config.secrets)
  const known = [...needed, ...together]
  const asked = together.some(name => given.includes(name)) ? known : needed
  for (const name of asked.filter(name => !given.includes(name))) {
    report(given.length > 0 ? '/secrets' : '', `${config.id} needs the secret "${name}", and it is not given`, `Add ${name}: { env: NAME } or { file: path } to its secrets; a list of them while it changes.`, 'GW_CONFIG_MISSING_KEY', true)
  }
  for (const name of given.filter(name => !known.includes(name))) {
    const near = nearest(name, known)
    report(`/secrets${step(name)}`, `${config.id} has no secret called "${name}"`, near === null ? `It has: ${known.join(', ') || 'none'}.` : `Did you mean "${near}"?`, 'GW_CONFIG_UNKNOWN_KEY', true)
  }
  return faults
}

function reporter (faults: Fault[], { id }: ProviderConfig, from: SourceFile): Report {
  return (below, message, fix, code, key = false) => { faults.push(from.fault(code, `/providers${step(id)}${below}`, message, fix, { key })) }
}

function checkOptions (manifest: Manifest, config: ProviderConfig, report: Report): void {
  const fits = compile(manifest)
  if (fits === null || fits(config.options)) return
  for (const error of fits.errors ?? []) {
    if (error.keyword === 'additionalProperties' && error.instancePath === '') unknownOption(manifest, String(error.params['additionalProperty']), report)
    else report(`/options${error.instancePath}`, `options${error.instancePath} ${words(error)}`, CODES.GW_CONFIG_VALUE.fix, error.keyword === 'type' ? 'GW_CONFIG_TYPE' : 'GW_CONFIG_VALUE')
  }
}

/** What is empty is as good as not given. */
function needOptions ({ id, needs_options: needed, options }: Manifest, config: ProviderConfig, report: Report): void {
  for (const names of needed) {
    const given = names.some(name => !['', null, undefined].includes((config.options[name] ?? options[name]?.['default']) as string | null | undefined))
    if (given) continue
    const wanted = names.length === 1 ? `the option ${names[0]}` : `one of the options ${names.join(', ')}`
    report(Object.keys(config.options).length > 0 ? '/options' : '', `${id} needs ${wanted}`, `Add options: { ${names[0]}: … } to it.`, 'GW_CONFIG_MISSING_KEY', true)
  }
}

/** Null where a schema of the manifest is none: that is told where it stands. */
function compile ({ options }: Manifest): ValidateFunction | null {
  try {
    return schemaCompiler({ strict: true, allowUnionTypes: true, allErrors: true }).compile({ type: 'object', additionalProperties: false, properties: options })
  } catch {
    return null
  }
}

/** Never the value: it may have come from the environment. */
function words (error: ErrorObject): string {
  return error.keyword === 'enum' ? `must be one of ${(error.params['allowedValues'] as unknown[]).join(', ')}` : error.message ?? `breaks the rule "${error.keyword}"`
}

function unknownOption (manifest: Manifest, name: string, report: Report): void {
  const near = nearest(name, Object.keys(manifest.options))
  const known = Object.keys(manifest.options).join(', ') || 'none'
  report(`/options${step(name)}`, `${manifest.id} has no option "${name}"`, near === null ? `Known here: ${known}.` : `Did you mean "${near}"?`, 'GW_CONFIG_UNKNOWN_KEY', true)
}

function refuseAccount ({ id, connection }: ProviderConfig, report: Report): void {
  if (connection === null) return
  report('/connection', `each shop connects an account of its own to ${id}`, 'Remove it; a shop\'s account stands under shops, or comes by the API.', 'GW_CONFIG_VALUE', true)
}

function missAccount (manifest: Manifest, { id }: ProviderConfig, report: Report): void {
  const [[way, { headers }]] = Object.entries(manifest.auth) as [[string, Manifest['auth'][string]]]
  const fields = secretFields(headers).map(field => `${field}: { env: NAME }`).join(', ')
  report('', `${id} sends over the platform's own account, and none is declared`, `Add connection: { auth: ${way}, secrets: { ${fields} } }, or coming_soon: true.`, 'GW_CONFIG_MISSING_KEY', true)
}

function checkAccount (manifest: Manifest, { auth, secrets, accountId }: GatewayConnectionConfig, report: Report): void {
  const way = auth ?? Object.keys(manifest.auth)[0] as string
  const known = Object.hasOwn(manifest.auth, way) ? manifest.auth[way] : undefined
  if (known === undefined) return report('/connection/auth', `${manifest.id} has no way "${way}" to authorize`, `Name one of: ${Object.keys(manifest.auth).join(', ')}.`, 'GW_CONFIG_REFERENCE')
  const read = secretFields(known.headers)
  for (const field of read) {
    if (!Object.hasOwn(secrets, field)) report('/connection/secrets', `auth.${way} of ${manifest.id} reads secret.${field}, and it is not given`, `Add ${field}: { env: NAME } or { file: path }.`, 'GW_CONFIG_MISSING_KEY', true)
  }
  for (const field of Object.keys(secrets)) {
    if (!read.includes(field)) report(`/connection/secrets${step(field)}`, `auth.${way} of ${manifest.id} reads no secret.${field}`, `Known here: ${read.join(', ')}.`, 'GW_CONFIG_UNKNOWN_KEY', true)
  }
  if (accountId === null && /\bconnection\.account_id\b/.test(JSON.stringify([manifest.requests, manifest.headers]))) {
    report('/connection', `requests of ${manifest.id} name the account, and its id is not given`, 'Add account_id: the provider\'s own id of the account.', 'GW_CONFIG_MISSING_KEY', true)
  }
}
