// What folders of plugins measure of themselves (`<name>.test-bench.ts`).

import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Figure } from './parts.ts'

const PLUGINS = join(import.meta.dirname, '..', '..', 'plugins')

export interface BroughtOptions { quick: boolean, /** A new data folder. */ folder (): string }

export async function broughtAlong (options: BroughtOptions): Promise<Figure[]> {
  const files = readdirSync(PLUGINS, { recursive: true }).map(String).filter(name => name.endsWith('.test-bench.ts')).toSorted()
  const figures: Figure[] = []
  for (const file of files) {
    const { bench } = await import(pathToFileURL(join(PLUGINS, file)).href) as { bench (options: BroughtOptions): Promise<Figure[]> }
    figures.push(...await bench(options))
  }
  return figures
}
