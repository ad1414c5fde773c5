// The config and the examples that are shipped, for tests that hold whichever providers it declares.

import { mkdirSync, readFileSync, symlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { parse, parseDocument } from 'yaml'
import { writeFolder } from './providers.ts'
import { ROOT } from './sources.ts'
import { tempDir, type Teardown } from './tmp.ts'

export interface Shop { id: string, channels?: Record<string, string>, connections?: Array<{ provider: string }> }
export interface Written {
  event_types: Record<string, { schema: string, kind?: string, expires_after?: string }>
  providers: Record<string, { path?: string } | null>
  channels: Record<string, { default_provider?: string | null } | null>
  shops?: Shop[]
}

/** gateway.config.yaml as it is written. */
export const shipped = parse(readFileSync(join(ROOT, 'gateway.config.yaml'), 'utf8')) as Written

/** The folder that the config names for a provider; where it names none, those it may be in. */
export function foldersOf (id: string, { providers }: Pick<Written, 'providers'> = shipped): string[] {
  const path = providers[id]?.path
  return path === undefined ? [`plugins/${id}`, `config/providers/${id}`] : [path]
}

/** A config's text without a provider: without its line and the shops that need it; where it was the default, another one is. */
export function configWithout (id: string, text: string): string {
  const document = parseDocument(text)
  const { providers, channels, shops = [] } = document.toJS() as Written
  if (!Object.hasOwn(providers, id)) throw new Error(`no provider "${id}" is declared`)
  document.deleteIn(['providers', id])
  const next = Object.keys(providers).find(one => one !== id) ?? null
  for (const [name, channel] of Object.entries(channels)) {
    if (channel?.default_provider === id) document.setIn(['channels', name, 'default_provider'], next)
  }
  for (const [i, shop] of [...shops.entries()].toReversed()) if (providersOf(shop).includes(id)) document.deleteIn(['shops', i])
  return document.toString({ lineWidth: 0 })
}

/** Every provider that a shop sends through or is connected to; the one it sends through first. */
export function providersOf ({ channels = {}, connections = [] }: Shop): string[] {
  return [...Object.values(channels), ...connections.map(({ provider }) => provider)]
}

/**
 * The folder in which an example is tried: the project's own; or one with everything in its place but the providers
 * that the shipped config does not declare, which is said aloud, and those that do not suit the test.
 */
export function exampleProject (t: Teardown & { comment (text: string): void }, example: string, suits: (id: string) => boolean = () => true): string {
  const text = readFileSync(join(ROOT, example), 'utf8')
  const gone = Object.keys((parse(text) as Written).providers).filter(id => !Object.hasOwn(shipped.providers, id) || !suits(id))
  if (gone.length === 0) return ROOT
  t.comment(`${example} is tried without ${gone.join(', ')}: not declared by the shipped config, or not for this test`)
  const dir = tempDir(t)
  for (const folder of ['schemas', 'plugins', 'config/providers']) {
    mkdirSync(dirname(join(dir, folder)), { recursive: true })
    symlinkSync(join(ROOT, folder), join(dir, folder))
  }
  return writeFolder(dir, { [example]: gone.reduce((config, id) => configWithout(id, config), text) })
}
