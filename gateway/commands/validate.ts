import type { Run } from './command.ts'
import { load } from './offline.ts'

/** Everything a start would check, and nothing is made, opened or sent. */
export const validate: Run = async call => {
  const { config, schemas, providers } = await load(call)
  const mappings = [...providers.values()].reduce((sum, { events }) => sum + Object.keys(events).length, 0)
  const value = {
    ok: true, file: config.file, event_types: schemas.size, providers: providers.size, mappings,
    shops: config.shops.length, api_keys: config.security.apiKeys.length, sandbox: config.sandbox.enabled
  }
  const counts = [
    counted(schemas.size, 'event type'), counted(providers.size, 'provider'), counted(mappings, 'mapping'),
    counted(value.shops, 'shop'), counted(value.api_keys, 'API key')
  ]
  const text = `${call.paint('green', 'ok')}  ${call.file}: ${counts.join(', ')}; sandbox ${value.sandbox ? 'on' : 'off'}`
  return { exit: 0, value, text }
}

function counted (n: number, what: string): string {
  return `${n} ${what}${n === 1 ? '' : 's'}`
}
