import t from 'tap'
import { declared, EVENT_TYPES, entry, files, load, loadOne, writeFolder } from '../helpers/providers.ts'
import { THIRD, THIRD_ID } from '../helpers/third-provider.ts'
import { providerSuite } from './provider.ts'

/** Secrets that look like the provider's own, where its sandbox looks at them. */
const SECRETS: Record<string, Record<string, string>> = { klaviyo: { api_key: 'pk_conformance_0123456789' } }

const { providers, faults } = await load(declared())
t.strictSame(faults, [], 'the shipped folders are in order')
t.ok(providers.size >= 2, 'with code and without')
for (const provider of providers.values()) {
  const [fields] = Object.values(provider.auth)
  const secrets = SECRETS[provider.id] ?? Object.fromEntries(fields?.fields.map(name => [name, `conformance-${name}-0123456789`]) ?? [])
  await providerSuite(t, provider, { files: files(), eventTypes: EVENT_TYPES, secrets })
}

const third = await loadOne(entry(THIRD_ID, writeFolder(t.testdir(), THIRD)))
await providerSuite(t, third, { files: files(), eventTypes: EVENT_TYPES, secrets: { token: 'conformance-token' } })
