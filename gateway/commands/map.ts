import type { Config, MappingScope, PreparedRequest, Provider } from '../contract.ts'
import { GatewayError } from '../errors.ts'
import type { EventSchema } from '../events/schemas.ts'
import { caseScope } from '../providers/cases.ts'
import { sentence } from '../reasons.ts'
import type { Call, Result, Run } from './command.ts'
import { exampleData, givenData, type Given } from './event.ts'
import { load, pick } from './offline.ts'
import { parsed, printable, readable } from './text.ts'

/** From an event to the request it would become: the check against the schema, the mapping; nothing is sent. */
export const map: Run = async call => {
  const type = call.positionals[0] as string
  const loaded = await load(call, call.choice('sandbox'))
  const schema = pick('event type', type, loaded.schemas, 'GW_EVENT_TYPE_UNKNOWN')
  const provider = pick('provider', call.text('provider') as string, loaded.providers, 'GW_NOT_FOUND')
  const given = await givenData(call, type) ?? { data: exampleData(schema, call.integer('example') ?? 0) }
  checkData(schema, given)
  const scope = scopeOf(given, type, provider, shopOf(call, loaded.config), loaded.config)
  const prepared = provider.prepare(type, scope)
  if (!prepared.ok) return refused(call, type, provider, prepared)
  if (call.text('shop') === undefined) call.remark(`for the sample shop ${scope.shop.name}; --shop takes one of the config`)
  if (loaded.config.sandbox.enabled) call.remark('the sandbox is on, and the address is its; --no-sandbox shows the provider\'s')
  return shown(type, provider, prepared.request, call)
}

function checkData (schema: EventSchema, { data }: Given): void {
  const details = schema.faults(data).map(fault => Object.assign(fault, { path: `/data${fault.path}` }))
  if (details.length > 0) throw new GatewayError('GW_EVENT_INVALID', `The data does not fit the schema of ${schema.type}.`, { details })
}

function shopOf (call: Call, { shops }: Config): Config['shops'][number] | null {
  const id = call.text('shop')
  return id === undefined ? null : pick('shop', id, new Map(shops.map(shop => [shop.id, shop])), 'GW_SHOP_UNKNOWN')
}

// Around the data: what was given of the event, and the sample shop of the cases where none is named.
function scopeOf ({ data, id, source, time }: Given, type: string, provider: Provider, shop: Config['shops'][number] | null, config: Config): MappingScope {
  const { options: _, gateway: _own, ...sample } = caseScope({ type, data: data as Record<string, unknown> }) // the config's are meant
  const event = { ...sample.event, ...(id === undefined ? {} : { id }), ...(source === undefined ? {} : { source }), ...(time === undefined ? {} : { time }) }
  const platform = config.providers.find(({ id }) => id === provider.id)?.connection?.accountId
  if (shop === null) return { ...sample, event, connection: { ...sample.connection, account_id: platform ?? sample.connection.account_id } }
  const connection = shop.connections.find(connection => connection.provider === provider.id)
  return {
    ...sample, event,
    shop: { id: shop.id, name: shop.name, domain: shop.domain },
    connection: { account_id: platform ?? connection?.accountId ?? '', settings: connection?.settings ?? {} }
  }
}

function refused (call: Call, type: string, { id, title }: Provider, { reason, detail }: Extract<ReturnType<Provider['prepare']>, { ok: false }>): Result {
  const said = sentence(reason, title)
  const text = `${call.paint('red', 'refused')}  ${reason}: ${said}\n${printable(detail)}`
  return { exit: 1, value: { type, provider: id, refused: { reason, sentence: said, detail } }, text }
}

function shown (type: string, { id, baseUrl }: Provider, request: PreparedRequest, call: Call): Result {
  const { name, group, method, path, headers, body, segments } = request
  const url = `${baseUrl}${path}`
  const head = Object.entries(headers).map(([header, value]) => `${header}: ${printable(value)}`)
  const text = [call.paint('bold', `${method} ${printable(url)}`), ...head, ...(body === null ? [] : ['', readable(body)])].join('\n')
  call.remark(`request "${name}", limit "${group}"; credentials are added when it is sent`)
  if (segments) call.remark(`its text takes ${segments.segments} ${segments.segments === 1 ? 'segment' : 'segments'} in ${segments.encoding}`)
  return { exit: 0, value: { type, provider: id, request: { name, limit: group, method, url, headers, body: body === null ? null : parsed(body), ...segments } }, text }
}
