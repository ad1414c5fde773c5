import { existsSync } from 'node:fs'
import { isIP } from 'node:net'
import { dirname, join, resolve } from 'node:path'
import type { Fault, Files } from '../contract.ts'
import { CODES } from '../errors.ts'
import type { Cursor } from './cursor.ts'
import { didYouMean } from './near.ts'
import { patternFault } from './pattern.ts'
import type { Source } from './source.ts'
import { storeFaults } from './store.ts'
import { durationMs } from './units.ts'

/** A request holds its place in the limits as long as it runs; longer ones would starve the rest. */
const MAX_REQUEST_MS = 60_000

/** What the form of the config cannot say: names that must agree, files that must be there, values that depend on others. */
export function semanticFaults (file: Source, files: Files, root: Cursor, sandboxOn: boolean): Fault[] {
  const faults = [...duplicates(file, root), ...references(file, root), ...messages(file, root), ...values(file, root, sandboxOn), ...present(file, files, root)]
  return faults.filter(fault => !file.isUnresolved(fault.path))
}

/** Absolute path of a provider's folder: the one given, else plugins/<id> where it exists, else config/providers/<id>. */
export function providerPath (file: Source, id: string, given: string | null): string {
  const base = dirname(file.path)
  if (given !== null) return resolve(base, given)
  const plugin = join(base, 'plugins', id)
  return existsSync(plugin) ? plugin : join(base, 'config', 'providers', id)
}

/** Absolute path of a source's folder: the one given, else plugins/<id>. */
export function sourcePath (file: Source, id: string, given: string | null): string {
  return resolve(dirname(file.path), given ?? join('plugins', id))
}

function duplicates (file: Source, root: Cursor): Fault[] {
  const { security, shops } = { security: root.get('security'), shops: root.get('shops').items() }
  return [
    ...twice(file, security.get('encryption_keys').items(), 'id', 'encryption key'),
    ...twice(file, security.get('api_keys').items(), 'id', 'API key'),
    ...twice(file, shops, 'id', 'shop'),
    ...sameAddress(file, root),
    ...shops.flatMap(shop => twice(file, shop.get('connections').items(), 'provider', 'connection of this shop'))
  ]
}

function twice (file: Source, items: Cursor[], key: string, what: string): Fault[] {
  const seen = new Set<string>()
  const repeats = items.map(item => item.get(key)).filter(at => {
    const id = at.text()
    const repeated = id !== null && seen.has(id)
    if (id !== null) seen.add(id)
    return repeated
  })
  return repeats.map(at => file.fault('GW_CONFIG_DUPLICATE', at.pointer, `there is another ${what} with the ${key} "${shown(file, at)}"`, CODES.GW_CONFIG_DUPLICATE.fix))
}

/** A provider's call-backs and a source's webhooks both come in below /webhooks/<id>. */
function sameAddress (file: Source, root: Cursor): Fault[] {
  const providers = root.get('providers').keys()
  return root.get('sources').entries().filter(([id]) => providers.includes(id))
    .map(([id, at]) => file.fault('GW_CONFIG_DUPLICATE', at.pointer, `there is a provider called "${id}", and both answer below /webhooks/${id}`, 'Give the source an id of its own.', { key: true }))
}

/** What says how a message goes; a type without all of it makes none. */
const MESSAGE = ['channel', 'setup_group', 'kind', 'expires_after']

/** Half of it is more likely forgotten than meant. */
function messages (file: Source, root: Cursor): Fault[] {
  return root.get('event_types').entries().flatMap(([, type]) => {
    const missing = MESSAGE.filter(key => type.get(key).value === null || type.get(key).value === undefined)
    if (missing.length === 0 || missing.length === MESSAGE.length) return []
    const there = MESSAGE.filter(key => !missing.includes(key))
    const fix = `Add ${listed(missing)}; or leave out ${listed(there)} too, where the type is only kept and makes no message.`
    return [file.fault('GW_CONFIG_MISSING_KEY', type.pointer, `${type.pointer} has ${listed(there)} and no ${listed(missing)}`, fix, { key: true })]
  })
}

function listed (keys: string[]): string {
  return keys.map(key => `"${key}"`).join(', ')
}

function references (file: Source, root: Cursor): Fault[] {
  const types = root.get('event_types').entries().map(([, type]) => type)
  const providers = root.get('providers').keys()
  const channels = root.get('channels').keys()
  const groups = types.map(type => type.get('setup_group').text()).filter(group => group !== null)
  const shops = root.get('shops').items()
  const connections = shops.flatMap(shop => shop.get('connections').items())
  const choicesOf = (channel: string): string[] | null => {
    const choices = channels.includes(channel) ? root.get('channels', channel, 'choices') : null
    return choices === null || choices.value === null || choices.value === undefined ? null : choices.keys()
  }
  const providersOf = (channel: string): string[] => choicesOf(channel) ?? providers
  return [
    ...root.get('channels').entries().flatMap(([name, channel]) => named(file, channel.get('default_provider'), 'provider', providersOf(name))),
    ...types.flatMap(type => named(file, type.get('channel'), 'channel', channels)),
    ...types.map(type => type.get('channel')).filter(at => choicesOf(at.text() ?? '') !== null)
      .map(at => wrong(file, at, `is a channel that nothing is sent on: it has choices`, 'Name another channel; or remove its choices.')),
    ...shops.flatMap(shop => named(file, shop.get('plan'), 'plan', root.get('plans').keys())),
    ...shops.flatMap(shop => shop.get('channels').entries()).filter(([channel]) => !channels.includes(channel))
      .map(([channel, at]) => unknown(file, at, channel, 'channel', channels, true)),
    ...shops.flatMap(shop => shop.get('channels').entries()).flatMap(([name, at]) => named(file, at, 'provider', providersOf(name))),
    ...connections.flatMap(connection => named(file, connection.get('provider'), 'provider', providers)),
    ...connections.flatMap(connection => connection.get('ready').items()).flatMap(at => named(file, at, 'set-up group', new Set(groups)))
  ]
}

function named (file: Source, at: Cursor, what: string, declared: Iterable<string>): Fault[] {
  const name = at.text()
  const known = [...declared]
  return name === null || known.includes(name) ? [] : [unknown(file, at, name, what, known, false)]
}

function unknown (file: Source, at: Cursor, name: string, what: string, known: string[], key: boolean): Fault {
  const otherwise = known.length > 0 ? `Declared: ${known.join(', ')}.` : CODES.GW_CONFIG_REFERENCE.fix
  const quoted = !key && file.isPrivate(at.pointer) ? 'of the name the environment gives' : `named "${name}"`
  return file.fault('GW_CONFIG_REFERENCE', at.pointer, `no ${what} ${quoted}`, didYouMean(name, known, otherwise), { key })
}

function values (file: Source, root: Cursor, sandboxOn: boolean): Fault[] {
  const sandbox = root.get('sandbox', 'url')
  return [
    ...root.get('server', 'trust_proxy').items().filter(at => at.text() !== null && !isNetwork(at.text()!))
      .map(at => wrong(file, at, 'is no address or network', 'Write it like 10.0.0.0/8.')),
    ...publicUrl(file, root.get('server', 'public_url')),
    ...ports(file, root, sandboxOn),
    ...durability(file, root.get('store')),
    ...storeFaults(file, root),
    ...sandbox.text() !== null && !isLoopback(sandbox.text()!)
      ? [wrong(file, sandbox, 'is not http:// on a loopback address', 'Write it like http://127.0.0.1:8081.')]
      : [],
    ...root.get('providers').entries().flatMap(([, provider]) => baseUrl(file, provider.get('base_url'), sandboxOn ? sandbox.text() : null)),
    ...deadline(file, root.get('delivery', 'request_deadline')),
    ...shopIds(file, root)
  ]
}

function wrong (file: Source, at: Cursor, what: string, fix: string): Fault {
  return file.fault('GW_CONFIG_VALUE', at.pointer, `${at.pointer} ${what}`, fix)
}

function ports (file: Source, root: Cursor, sandboxOn: boolean): Fault[] {
  const port = root.get('sandbox', 'port')
  const within = sandboxOn && root.get('sandbox', 'url').value === null
  if (!within || !port.value || port.value !== root.get('server', 'port').value) return []
  return [wrong(file, port, 'is the gateway\'s own port', 'Give the sandbox another one; 0 takes any that is free.')]
}

function durability (file: Source, store: Cursor): Fault[] {
  const [synchronous, intake, sends] = [store.get('synchronous'), store.get('intake_free_mib'), store.get('send_free_mib')]
  const unsafe = ['normal', 'off'].includes(synchronous.text() ?? '') && store.get('allow_data_loss').value !== true
  return [
    ...unsafe ? [wrong(file, synchronous, 'loses accepted events when the power fails', 'Write full; or set allow_data_loss: true beside it where that may be.')] : [],
    ...typeof intake.value === 'number' && typeof sends.value === 'number' && sends.value > intake.value
      ? [wrong(file, sends, 'is more than intake_free_mib: what is taken in must stop first', 'Give less than intake_free_mib.')]
      : []
  ]
}

function publicUrl (file: Source, at: Cursor): Fault[] {
  const text = at.text()
  if (text === null) return []
  const url = URL.canParse(text) ? new URL(text) : null
  const plain = url !== null && !/[?#\s\\]/.test(text) && url.username === '' && url.password === ''
  if (plain && (url.protocol === 'https:' || (url.protocol === 'http:' && isLoopbackHost(url.hostname)))) return []
  return [wrong(file, at, 'is neither a plain https:// address nor http:// on a loopback address', 'Write it like https://sms.example.com, without credentials or query.')]
}

function baseUrl (file: Source, at: Cursor, sandboxUrl: string | null): Fault[] {
  const text = at.text()
  if (text === null) return []
  const url = URL.canParse(text) ? new URL(text) : null
  const plain = url !== null && url.username === '' && url.password === '' && url.search === '' && url.hash === ''
  const allowed = url?.protocol === 'https:' || (sandboxUrl !== null && URL.canParse(sandboxUrl) && url?.origin === new URL(sandboxUrl).origin)
  if (plain && allowed) return []
  return [wrong(file, at, 'is neither a plain https:// address nor the sandbox\'s', 'Write it like https://api.example.com, without credentials or query.')]
}

function deadline (file: Source, at: Cursor): Fault[] {
  return durationMs(at.text() ?? '') > MAX_REQUEST_MS ? [wrong(file, at, 'is longer than 60s', 'Give 60s or less.')] : []
}

function shopIds (file: Source, root: Cursor): Fault[] {
  const pattern = root.get('shop_id_pattern')
  if (pattern.text() === null || file.isUnresolved(pattern.pointer)) return []
  const why = patternFault(pattern.text()!)
  if (why !== null) return [wrong(file, pattern, `cannot be used: ${why}`, 'Write it like ^[a-z0-9][a-z0-9.-]{0,99}$.')]
  const form = new RegExp(pattern.text()!, 'u')
  const callers = root.get('security', 'api_keys').items().flatMap(key => key.get('shops').items())
  return [...root.get('shops').items().map(shop => shop.get('id')), ...callers]
    .filter(at => at.text() !== null && !form.test(at.text()!))
    .map(at => wrong(file, at, 'does not fit shop_id_pattern', 'Give the id in the form declared there.'))
}

function present (file: Source, files: Files, root: Cursor): Fault[] {
  const schemas = root.get('event_types').entries().map(([, type]) => type.get('schema')).filter(at => at.text() !== null && !file.isUnresolved(at.pointer))
  return [
    ...schemas.flatMap(at => files.text(at.text()!, { file, pointer: at.pointer }).faults),
    ...root.get('providers').entries().flatMap(([id, provider]) => {
      const given = provider.get('path')
      if (file.isUnresolved(given.pointer)) return []
      const manifest = join(providerPath(file, id, given.text()), 'provider.yaml')
      return files.text(manifest, { file, pointer: given.text() === null ? provider.pointer : given.pointer }).faults
    }),
    ...root.get('sources').entries().flatMap(([id, source]) => {
      const given = source.get('path')
      if (file.isUnresolved(given.pointer)) return []
      return files.text(join(sourcePath(file, id, given.text()), 'index.ts'), { file, pointer: given.text() === null ? source.pointer : given.pointer }).faults
    })
  ]
}

function isNetwork (text: string): boolean {
  if (['loopback', 'linklocal', 'uniquelocal'].includes(text)) return true
  const [address, bits, ...more] = text.split('/')
  const version = isIP(address ?? '')
  if (version === 0 || more.length > 0) return false
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (version === 4 ? 32 : 128))
}

function isLoopback (text: string): boolean {
  if (!URL.canParse(text)) return false
  const { protocol, hostname, pathname, search, hash, username, password } = new URL(text)
  const bare = pathname === '/' && search + hash + username + password === ''
  return bare && protocol === 'http:' && isLoopbackHost(hostname)
}

function isLoopbackHost (hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(hostname)
}

function shown (file: Source, at: Cursor): string {
  return file.isPrivate(at.pointer) ? '…' : at.text() ?? ''
}
