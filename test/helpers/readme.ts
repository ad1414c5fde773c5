// README.md, taken apart: sections, blocks, tables; and its commands, run as a person would paste them.

import { spawn, spawnSync } from 'node:child_process'
import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { ROOT } from './sources.ts'

export const README = readFileSync(join(ROOT, 'README.md'), 'utf8')

/** Text of a section, from below its heading to the next one of its rank. */
export function section (title: string): string {
  const [, text] = README.split(`\n## ${title}\n`)
  if (text === undefined) throw new Error(`README.md has no section "${title}"`)
  return text.split('\n## ')[0] as string
}

/** The fenced blocks of a language, in their order. */
export function blocks (language: string, text = README): string[] {
  return [...text.matchAll(/^```(\w+)\n([^]*?)^```$/gm)].filter(([, said]) => said === language).map(([, , body]) => body as string)
}

/** A block that opens with "# <path>" as a comment, by that path. */
export function namedBlocks (language: string): Record<string, string> {
  return Object.fromEntries(blocks(language).flatMap(text => {
    const path = /^# (\S+\/\S+\.\w+)/.exec(text)?.[1]
    return path === undefined ? [] : [[path, text]]
  }))
}

/** The cells of the first table, without its head. */
export function rows (text: string): string[][] {
  const lines = text.split('\n')
  const head = lines.findIndex(line => /^\|[-| ]+\|$/.test(line))
  const end = lines.findIndex((line, i) => i > head && !line.startsWith('|'))
  return lines.slice(head + 1, end < 0 ? lines.length : end)
    .map(line => line.slice(1, -1).split(/(?<!\\)\|/).map(cell => cell.trim().replaceAll('\\|', '|')))
}

/** What stands in backticks, outside of fenced blocks. */
export function codeSpans (text: string): string[] {
  const prose = text.replaceAll(/^```[^]*?^```$/gm, '')
  return [...prose.matchAll(/`([^`\n]+)`/g)].map(([, span]) => span as string)
}

/** Commands that start with a word, each with the lines that a backslash or an open quote joins to it. */
export function commands (text: string, word: string): string[] {
  const found: string[] = []
  const lines = text.split('\n')
  while (lines.length > 0) {
    let command = lines.shift()?.trim() as string
    if (!command.startsWith(`${word} `)) continue
    while (lines.length > 0 && isOpen(command)) command += `\n${lines.shift()}`
    found.push(command)
  }
  return found
}

function isOpen (command: string): boolean {
  return command.endsWith('\\') || (command.replaceAll('\'\\\'\'', '').split('\'').length % 2 === 0)
}

export const hasCurl = spawnSync('curl', ['--version']).status === 0
const hasOpenssl = spawnSync('openssl', ['version']).status === 0

// Knows of curl what the commands use, for machines without one.
const CURL = `
const args = process.argv.slice(2)
const headers = []
let url, body
while (args.length > 0) {
  const arg = args.shift()
  if (arg === '-H') headers.push(args.shift().split(/: */, 2))
  else if (arg === '-d' || arg === '--data-binary') body = args.shift()
  else if (!arg.startsWith('-')) url = arg
}
const answer = await fetch(url, { headers, ...(body !== undefined && { method: 'POST', body }) })
process.stdout.write(await answer.text())
`

// openssl dgst -sha256 -hmac <key> -binary
const OPENSSL = `
import { createHmac } from 'node:crypto'
import { readFileSync } from 'node:fs'
process.stdout.write(createHmac('sha256', process.argv[process.argv.indexOf('-hmac') + 1]).update(readFileSync(0)).digest())
`

/** Runs a command through a shell in a folder; its standard output. A stand-in takes the place of curl and of openssl where there is none. */
export function shell (command: string, { cwd, bin }: { cwd: string, bin: string }): Promise<string> {
  if (!hasCurl) standIn(bin, 'curl', CURL)
  if (!hasOpenssl) standIn(bin, 'openssl', OPENSSL)
  return new Promise((resolve, reject) => {
    const child = spawn('sh', ['-c', command], { cwd, env: { ...process.env, PATH: `${bin}${delimiter}${process.env['PATH']}` }, stdio: ['ignore', 'pipe', 'pipe'] })
    let out = ''
    let err = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => { out += text })
    child.stderr.setEncoding('utf8').on('data', (text: string) => { err += text })
    child.once('error', reject)
    child.once('close', code => { if (code === 0) resolve(out); else reject(new Error(`${command}\nended with ${code}: ${err}`)) })
  })
}

function standIn (bin: string, name: string, code: string): void {
  writeFileSync(join(bin, `${name}.mjs`), code)
  writeFileSync(join(bin, name), `#!/bin/sh\nexec '${process.execPath}' '${join(bin, `${name}.mjs`)}' "$@"\n`)
  chmodSync(join(bin, name), 0o755)
}
