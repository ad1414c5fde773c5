// The real command line as a process of its own, and a folder with a copy of the shipped config to break.

import { spawn } from 'node:child_process'
import { readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseDocument } from 'yaml'
import type { Io } from '../../gateway/commands/command.ts'
import { run } from '../../gateway/commands/run.ts'
import { MADE_FILES } from '../helpers/made-providers.ts'
import { writeFolder } from '../helpers/providers.ts'
import { tempDir, type Teardown } from '../helpers/tmp.ts'

export const ROOT = join(import.meta.dirname, '..', '..')
export const CLI = join(ROOT, 'gateway', 'cli.ts')

export interface Ended { code: number | null, out: string, err: string }

export interface CliOptions { env?: Record<string, string>, cwd?: string, input?: string }

/** The environment of a command: nothing of this machine's that it minds, but what is given. */
export function environment (env: Record<string, string> = {}): Record<string, string | undefined> {
  const without = Object.entries(process.env).filter(([name]) => !/^(GATEWAY_|SANDBOX_|PORT$|HOST$|LOG_LEVEL$|FORCE_COLOR$)/.test(name))
  return { ...Object.fromEntries(without), ...env }
}

/** A process that only remembers what was done to it. */
export interface Told { out: string, err: string, exits: number[], signals: Record<string, () => void> }

export function nothingTold (): Told {
  return { out: '', err: '', exits: [], signals: {} }
}

export function fakeIo (argv: readonly string[], told: Told, more: Partial<Io> = {}): Io {
  return {
    argv,
    env: {},
    cwd: ROOT,
    stdout: { write: text => { told.out += text } },
    stderr: { write: text => { told.err += text } },
    stdin: async () => '',
    now: () => Date.UTC(2026, 10, 21),
    uuid: () => '00000000-0000-4000-8000-000000000001',
    sleep: () => new Promise(() => {}),
    on: (signal, act) => { told.signals[signal] = act },
    exit: code => { told.exits.push(code) },
    ...more
  }
}

/** Runs `gateway …` within this process, which is quicker by far than one of its own. */
export async function within (argv: readonly string[], { env = {}, cwd = ROOT, input = '' }: CliOptions = {}, more: Partial<Io> = {}): Promise<Ended> {
  const told = nothingTold()
  const code = await run(fakeIo(argv, told, { env, cwd, stdin: async () => input, ...more }), () => '1.2.3')
  return { code, out: told.out, err: told.err }
}

/** Runs `gateway …` to its end, as a process of its own. */
export function cli (args: readonly string[], { env = {}, cwd = ROOT, input = '' }: CliOptions = {}): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [CLI, ...args], { cwd, env: environment(env), stdio: ['pipe', 'pipe', 'pipe'] })
    const ended: Ended = { code: null, out: '', err: '' }
    child.stdout.setEncoding('utf8').on('data', (text: string) => { ended.out += text })
    child.stderr.setEncoding('utf8').on('data', (text: string) => { ended.err += text })
    child.stdin.on('error', () => {}) // it need not read what it does not ask for
    child.stdin.end(input)
    child.once('error', reject)
    child.once('close', code => { resolve({ ...ended, code }) })
  })
}

const SHIPPED = readFileSync(join(ROOT, 'gateway.config.yaml'), 'utf8')

/** A folder with the shipped config, changed; schemas and providers are the shipped ones. */
export function shippedProject (t: Teardown, change: (config: string) => string = text => text): string {
  const dir = tempDir(t)
  for (const folder of ['schemas', 'plugins', 'config']) symlinkSync(join(ROOT, folder), join(dir, folder))
  writeFileSync(join(dir, 'gateway.config.yaml'), change(SHIPPED))
  return dir
}

/** A folder with the shipped config, but without sources, and with providers made for the tests, each with a shop, in the place of its own; changed. */
export function project (t: Teardown, change: (config: string) => string = text => text): string {
  const dir = tempDir(t)
  symlinkSync(join(ROOT, 'schemas'), join(dir, 'schemas'))
  writeFolder(join(dir, 'providers'), MADE_FILES)
  const config = parseDocument(SHIPPED)
  config.setIn(['channels', 'sms'], { default_provider: 'courier' })
  config.set('providers', { courier: { path: 'providers/courier' }, herald: { path: 'providers/herald' } })
  config.delete('sources')
  config.set('shops', [shopAt('courier', 'Acme'), shopAt('herald', 'Globex')])
  writeFileSync(join(dir, 'gateway.config.yaml'), change(config.toString({ lineWidth: 0 })))
  return dir
}

function shopAt (provider: string, name: string): object {
  return {
    id: `demo-${provider}.example`,
    sandbox: true,
    name,
    domain: `${name.toLowerCase()}.example`,
    plan: 'pro',
    channels: { sms: provider },
    connections: [{ provider, secrets: { api_key: { file: `\${GATEWAY_DATA:-./data}/keys/${provider}.key`, generate: true } }, ready: ['back_in_stock', 'preorder'] }]
  }
}
