// …/providers/{provider}/texts: what a merchant writes for each kind of message, shown with sample data and what it costs; and
// single settings of a connection.

import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Detail, MappingScope, Provider, ProviderText, Runtime, Step } from '../contract.ts'
import { GatewayError } from '../errors.ts'
import { sentence } from '../reasons.ts'
import { titleOf } from './channels.ts'
import { adjustStep } from './connections.ts'
import type { Shops, ShopState } from './shops.ts'

export interface TextRoutesOptions {
  shops: Shops
  providers: ReadonlyMap<string, Provider>
  runtime: Runtime
  caller (request: FastifyRequest): { id: string, mayUse (shop: string): boolean }
  /** Data of an event type's own example; null where its schema gives none. */
  sample (type: string): Record<string, unknown> | null
  /** Every violation of a JSON Schema. */
  violations (schema: object, value: unknown, path: string): Detail[]
}

interface At { shop: string, provider: string, type: string }
interface Place { state: ShopState, provider: Provider }
/** By name; null: as the platform has it. */
type Changes = Record<string, unknown>

/** More than a template may have: what is wrong with it is said by the compiler, with its place. */
const TEXT = { type: 'string', maxLength: 4000 } as const
const PUT = { body: { type: 'object', additionalProperties: false, required: ['text'], properties: { text: TEXT } } } as const
const PREVIEW = { body: { type: 'object', maxProperties: 50, properties: { text: TEXT } } } as const
const PATCH = { body: { type: 'object', minProperties: 1, maxProperties: 50 } } as const
const TEXTS = '/v1/shops/:shop/providers/:provider/texts'

export function textRoutes (app: FastifyInstance, options: TextRoutesOptions): void {
  const read = { config: { scope: 'shops:read' as const } }
  const write = { config: { scope: 'shops:write' as const } }

  app.get<{ Params: At }>(TEXTS, read, async request => {
    const { state, provider } = await placeOf(request, options)
    return {
      shop: state.shop.id,
      provider: provider.id,
      ...useOf(state, provider, options),
      settings: Object.fromEntries(Object.entries(settingsOf(state, provider)).filter(([name]) => !Object.values(provider.texts ?? {}).some(({ setting }) => setting === name))),
      items: Object.keys(provider.texts ?? {}).map(type => viewOf(type, { state, provider }, options))
    }
  })

  app.put<{ Params: At, Body: { text: string } }>(`${TEXTS}/:type`, { ...write, schema: PUT }, async request => {
    const at = await placeOf(request, options)
    const { setting } = textOf(request, at)
    const state = await change(at, { [setting]: request.body.text }, { who: options.caller(request).id, path: () => '/text' }, options)
    return viewOf(request.params.type, { ...at, state }, options)
  })

  app.delete<{ Params: At }>(`${TEXTS}/:type`, write, async request => {
    const at = await placeOf(request, options)
    const { setting } = textOf(request, at)
    const state = await change(at, { [setting]: null }, { who: options.caller(request).id, path: () => '/text' }, options)
    return viewOf(request.params.type, { ...at, state }, options)
  })

  app.post<{ Params: At, Body: { text?: string } & Changes }>(`${TEXTS}/:type/preview`, { ...read, schema: PREVIEW }, async request => {
    const at = await placeOf(request, options)
    const text = textOf(request, at)
    const { text: given, ...settings } = request.body
    const faults = options.violations({ ...at.provider.settings, required: [] }, settings, '')
    if (faults.length > 0) throw unfit(at.provider, faults)
    return previewOf(request.params.type, at, { ...settings, ...(given !== undefined && { [text.setting]: given }) }, options)
  })

  app.patch<{ Params: At, Body: Changes }>('/v1/shops/:shop/providers/:provider/settings', { ...write, schema: PATCH }, async request => {
    const at = await placeOf(request, options)
    const state = await change(at, request.body, { who: options.caller(request).id, path: path => path }, options)
    return { shop: state.shop.id, provider: at.provider.id, settings: settingsOf(state, at.provider) }
  })
}

async function placeOf (request: FastifyRequest<{ Params: At }>, { shops, providers, caller }: TextRoutesOptions): Promise<Place> {
  const { shop, provider: id } = request.params
  const state = caller(request).mayUse(shop) ? await shops.get(shop) : null
  if (!state) throw new GatewayError('GW_NOT_FOUND', 'No shop has this id.')
  const provider = providers.get(id)
  if (!provider) throw new GatewayError('GW_NOT_FOUND', `No provider is called "${id}"; there are ${[...providers.keys()].join(', ')}.`)
  return { state, provider }
}

function textOf ({ params: { type } }: FastifyRequest<{ Params: At }>, { provider }: Place): ProviderText {
  const { texts = {} } = provider
  const text = Object.hasOwn(texts, type) ? texts[type] : undefined
  if (!text) throw new GatewayError('GW_NOT_FOUND', `${provider.title} has no text for "${type}"; there are ${Object.keys(texts).join(', ') || 'none'}.`)
  return text
}

/** Whether what the provider has of a shop is used just now; if not, why. */
function useOf (state: ShopState, provider: Provider, { shops, providers }: TextRoutesOptions): { used: boolean, why: string | null } {
  const refusal = shops.refusal(state.shop, provider)
  if (!state.shop.active) return { used: false, why: sentence('shop_inactive', provider.title) }
  if (refusal !== null) return { used: false, why: sentence(refusal, provider.title) }
  const others = provider.channels.flatMap(channel => {
    const active = shops.providerOf(state, channel)
    return active === provider.id ? [] : [active === null ? `No provider is chosen for ${channel}.` : `${titleOf(active, channel, { providers, shops })} sends this shop's messages now; what is set here is kept until ${provider.title} is chosen.`]
  })
  return others.length < provider.channels.length ? { used: true, why: null } : { used: false, why: others[0] ?? null }
}

function settingsOf (state: ShopState, provider: Provider): Record<string, unknown> {
  return { ...provider.settingsDefaults, ...state.connections.get(provider.id)?.settings }
}

function viewOf (type: string, at: Place, options: TextRoutesOptions): object {
  const { setting, title, standard, names } = (at.provider.texts ?? {})[type] as ProviderText
  const text = settingsOf(at.state, at.provider)[setting]
  return { event_type: type, title, setting, text, own: text !== standard, standard, names, preview: previewOf(type, at, {}, options) }
}

/** As the first customer of the schema's examples would get it, at this shop. */
function previewOf (type: string, { state, provider }: Place, changes: Changes, { sample, runtime }: TextRoutesOptions): object {
  const data = sample(type)
  if (data === null) return { text: null, encoding: null, segments: null, characters: null, non_gsm: [], faults: [{ offset: 0, message: 'there is no sample data for this event type', fix: 'Give its schema examples.' }] }
  const { id, name, domain } = state.shop
  const scope: MappingScope = {
    data,
    shop: { id, name, domain },
    connection: { account_id: state.connections.get(provider.id)?.accountId ?? '', settings: { ...settingsOf(state, provider), ...changes } },
    event: { id: 'evt_sample', source: '/sample', type, time: new Date(runtime.now()).toISOString() },
    delivery: { id: 'dlv_sample', key: 'dlv_sample', attempt: 1, record_only: false }
  }
  const preview = ((provider.texts ?? {})[type] as ProviderText).preview(scope)
  if ('faults' in preview) return { text: null, encoding: null, segments: null, characters: null, non_gsm: [], faults: preview.faults }
  const { text, encoding, segments, nonGsm } = preview
  return { text, encoding, segments, characters: text.length, non_gsm: nonGsm, faults: [] }
}

/** Changes single settings; all else of the connection stays. Throws GW_REQUEST_INVALID where a value cannot be used. */
async function change ({ state: { shop }, provider }: Place, changes: Changes, { who, path }: { who: string, path (path: string): string }, { shops, runtime, violations }: TextRoutesOptions): Promise<ShopState> {
  shops.mayUse(shop, provider)
  const given = Object.fromEntries(Object.entries(changes).filter(([, value]) => value !== null))
  const reset = Object.keys(changes).filter(name => changes[name] === null)
  const unknown = reset.filter(name => !Object.hasOwn(provider.settingsDefaults, name)).map((name): Detail => ({ path: `/settings/${name}`, rule: 'additionalProperties', message: 'there is no such setting' }))
  const faults = [...unknown, ...violations({ ...provider.settings, required: [] }, given, '/settings'), ...provider.settingsFaults(given)]
  if (faults.length > 0) throw unfit(provider, faults.map(fault => ({ ...fault, path: path(fault.path.replace(/^\/settings/, '')) })))
  return await shops.alter(shop.id, async state => {
    const connection = state.connections.get(provider.id)
    if (!connection) throw new GatewayError('GW_CONFLICT', `${shop.id} has no connection to ${provider.title}, whose settings they would be.`)
    const settings = { ...provider.settingsDefaults, ...connection.settings }
    const named = (settings: Record<string, unknown>) => provider.account({ account_id: connection.accountId, settings })
    if (named(settings) !== named({ ...settings, ...given, ...Object.fromEntries(reset.map(name => [name, provider.settingsDefaults[name]])) })) {
      throw new GatewayError('GW_CONFLICT', `${Object.keys(changes).join(', ')}: ${provider.title} tells the account by it. Connect again with the new value.`)
    }
    const set = adjustStep(state.shop, connection, given, runtime)
    const steps: Step[] = [...(set === null ? [] : [set]), ...reset.map((setting): Step => ({ name: 'reset_setting', params: { shop_key: state.shop.key, provider: provider.id, setting, now: runtime.now() } }))]
    if (steps.length === 0) return null
    return { steps: [...steps, { name: 'audit', params: { at: runtime.now(), actor: who, action: 'settings.put', shop: shop.id, subject: `${provider.id} ${Object.keys(changes).join(' ')}` } }] }
  })
}

function unfit (provider: Provider, details: Detail[]): GatewayError {
  return new GatewayError('GW_REQUEST_INVALID', `The settings do not fit ${provider.title}.`, { details })
}
