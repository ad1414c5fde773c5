// The project's own files, for tests that look at how it is built.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

export const ROOT = join(import.meta.dirname, '..', '..')

/** `path` from the project's folder on, with slashes. */
export interface Source { path: string, text: string }

/** Every text file below these folders. */
export function sources (folders: readonly string[]): Source[] {
  return folders.flatMap(folder => readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile() && /\.(ts|mjs|sql|yaml|json|md)$/.test(entry.name))
    .map(entry => {
      const file = join(entry.parentPath, entry.name)
      return { path: file.slice(ROOT.length + 1).replaceAll('\\', '/'), text: readFileSync(file, 'utf8') }
    }))
}
