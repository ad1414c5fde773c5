import type { Run } from './command.ts'
import { exampleData, SOURCE } from './event.ts'
import { load, pick } from './offline.ts'

/** Stands for a shop where the config declares none. */
const ANY_SHOP = 'acme.example'

/** The schema of a type, or an event made of one of its examples: `gateway events send` takes it by --data. */
export const schema: Run = async call => {
  const type = call.positionals[0] as string
  const { schemas, config } = await load(call)
  const found = pick('event type', type, schemas, 'GW_EVENT_TYPE_UNKNOWN')
  const n = call.integer('example')
  const value = n === undefined ? found.schema : {
    specversion: '1.0', id: call.io.uuid(), source: SOURCE, type,
    shop: call.text('shop') ?? config.shops[0]?.id ?? ANY_SHOP,
    time: new Date(call.io.now()).toISOString(), data: exampleData(found, n)
  }
  return { exit: 0, value, text: JSON.stringify(value, null, 2) }
}
