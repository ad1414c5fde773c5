// What providers' folders bring along against kills in the middle of a set-up (`<name>.test-kill.ts`): at each request, again and again.

import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { foldersOf, shipped } from '../helpers/shipped.ts'
import { ROOT } from '../helpers/sources.ts'
import { some } from './trial.ts'

interface Kill { at: number, mode: string }
interface Report { seed: number, kills: number, tasks: number, created: number, wrong: string[] }

/** `on`: another store than a SQLite file. */
interface Kills {
  MODES: readonly string[]
  REQUESTS: number
  killAtEachRequest (options: { dir: string, seed: number, kills: readonly Kill[], on?: { store: Record<string, unknown>, env: Record<string, string> } }): Promise<Report>
}

export async function setupKills (): Promise<Array<{ name: string, kills: Kills }>> {
  const files = Object.keys(shipped.providers).flatMap(id => foldersOf(id)).map(folder => join(ROOT, folder)).filter(existsSync)
    .flatMap(folder => readdirSync(folder).filter(name => name.endsWith('.test-kill.ts')).map(name => join(folder, name)))
  return await Promise.all(files.map(async file => ({ name: file.slice(ROOT.length + 1), kills: await import(pathToFileURL(file).href) as Kills })))
}

/** Each request `times` times, in each way in turn. */
export function everyKill ({ MODES, REQUESTS }: Kills, times: number): Kill[] {
  return Array.from({ length: times * REQUESTS }, (_, i) => ({ at: 1 + i % REQUESTS, mode: MODES[Math.floor(i / REQUESTS) % MODES.length] as string }))
}

export function judgeSetup ({ seed, kills, tasks, created, wrong }: Report): { ok: boolean, line: string } {
  return { ok: wrong.length === 0 && created === tasks && kills > 0, line: `seed ${seed}, ${kills} kills, ${tasks} set-ups, ${created} flows; ${some('wrong', wrong)}` }
}
