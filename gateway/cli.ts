#!/usr/bin/env -S node --max-semi-space-size=16 --heap-growing-percent=100
// The command line. Outside config/ this is the one file that touches the process.
// The flag above keeps V8 from spending memory on speed that a process mostly waiting for disk and network does not gain.

import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { enableCompileCache } from 'node:module'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Io } from './commands/command.ts'
import { readEnvironment } from './config/environment.ts'

enableCompileCache() // before anything large is loaded: the next start is faster by a third
const { run } = await import('./commands/run.ts')

const io: Io = {
  argv: process.argv.slice(2),
  env: readEnvironment(process.cwd()),
  cwd: process.cwd(),
  stdout: process.stdout,
  stderr: process.stderr,
  async stdin () {
    const chunks: Buffer[] = []
    for await (const chunk of process.stdin) chunks.push(chunk as Buffer)
    return Buffer.concat(chunks).toString('utf8')
  },
  now: Date.now,
  uuid: randomUUID,
  sleep: async ms => { await sleep(ms) },
  on: (signal, act) => { process.on(signal, act) },
  exit: code => { process.exit(code) }
}

// Whoever reads may stop reading (`… | head`): that is no failure of ours.
process.stdout.on('error', () => { process.exit(0) })
// And a running gateway does not end because nobody reads its remarks any more.
process.stderr.on('error', () => {})

const code = await run(io, () => (JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }).version)

// What was written to a pipe is written before the end; nothing that still listens keeps a finished command alive.
process.stdout.write('', () => { process.exit(code) })
