// Loaded before the gateway's own entry (node --import): puts the failpoints around what it exports and what it calls.

import fs, { type PathLike } from 'node:fs'
import { registerHooks, syncBuiltinESMExports } from 'node:module'
import { pass } from './pass.ts'

// ── the stores: the gateway gets them from here instead ──

const STORES = { '/gateway/store/sqlite.ts': './sqlite.ts', '/gateway/store/postgres/store.ts': './postgres.ts' }
registerHooks({
  resolve (specifier, context, next) {
    const found = next(specifier, context)
    const ours = Object.entries(STORES).find(([theirs]) => found.url.endsWith(theirs))?.[1]
    if (ours === undefined || context.parentURL?.includes('/test/failpoints/')) return found
    return { ...found, url: new URL(ours, import.meta.url).href }
  }
})

// ── migrations of a release to come ──

const EXTRA = Number(process.env['EXTRA_MIGRATIONS'] ?? 0)
const FIRST_EXTRA = 9001
const { readdirSync, readFileSync } = fs
const extra = /(9\d{3})_made\.\w+\.sql$/

function madeNames (names: readonly string[]): string[] {
  const dialects = new Set(names.flatMap(name => /\.(\w+)\.sql$/.exec(name)?.[1] ?? []))
  return [...dialects].flatMap(dialect => Array.from({ length: EXTRA }, (_, i) => `${FIRST_EXTRA + i}_made.${dialect}.sql`))
}

/** Touches every event and every delivery, so that half of it would be seen. */
function madeSql (version: string): string {
  return [
    `alter table events add column made_${version} text;`,
    `update events set made_${version} = source_id;`,
    `create index made_events_${version} on events (made_${version});`,
    `update deliveries set detail = 'half' where state = 1;`,
    `update deliveries set detail = null where state = 1;`,
    ''
  ].join('\n')
}

if (EXTRA > 0) {
  fs.readdirSync = ((path: PathLike, ...rest: unknown[]) => {
    const names = Reflect.apply(readdirSync, fs, [path, ...rest]) as string[]
    return String(path).endsWith('/migrations/') ? [...names, ...madeNames(names)] : names
  }) as typeof readdirSync
  fs.readFileSync = ((path: PathLike, ...rest: unknown[]) => {
    const version = extra.exec(String(path))?.[1]
    return version === undefined ? Reflect.apply(readFileSync, fs, [path, ...rest]) as string : madeSql(version)
  }) as typeof readFileSync
  syncBuiltinESMExports()
}

// ── the gateway's own classes ──

const { Door } = await import('../../gateway/events/accept.ts')
const { Deliver } = await import('../../gateway/delivery/deliver.ts')
const { Shops } = await import('../../gateway/shops/shops.ts')

const { accept } = Door.prototype
Door.prototype.accept = async function (...given) {
  pass('body_read')
  const receipts = await accept.apply(this, given)
  if (receipts.some(({ status }) => status === 'accepted')) pass('before_answer')
  return receipts
}

// Deliver is told of another config only by a reload, and first.
let reloading = false
const reloadStep = (): void => { if (reloading) pass('in_reload') }
const { use } = Deliver.prototype
Deliver.prototype.use = async function (...given) {
  reloading = true
  reloadStep()
  await use.apply(this, given)
  reloadStep()
}
for (const name of ['use', 'declare', 'refreshAll'] as const) {
  const step = Shops.prototype[name] as (...given: unknown[]) => Promise<void>
  Shops.prototype[name] = async function (...given: unknown[]) {
    await step.apply(this, given)
    reloadStep()
  }
}
