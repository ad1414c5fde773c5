// What folders of plugins put to the test at full length (`<name>.test-campaign.ts`).

import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { onPostgres } from '../e2e/world.ts'

const PLUGINS = join(import.meta.dirname, '..', '..', 'plugins')

/** `on`: another store than a SQLite file. */
export interface Brought { name: string, run (options: { dir: string, seed: number, kills: number, on?: ReturnType<typeof onPostgres> }): Promise<{ ok: boolean, line: string }> }

export async function broughtAlong (): Promise<Brought[]> {
  const files = readdirSync(PLUGINS, { recursive: true }).map(String).filter(name => name.endsWith('.test-campaign.ts')).toSorted()
  return await Promise.all(files.map(async file => (await import(pathToFileURL(join(PLUGINS, file)).href) as { trial: Brought }).trial))
}
