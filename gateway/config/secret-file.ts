import { randomBytes } from 'node:crypto'
import { closeSync, fsyncSync, linkSync, mkdirSync, openSync, rmSync, statSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'

/** Makes a secret of `prefix` and 32 random bytes (base64url) in a file that only its owner reads. Never replaces a file. */
export function makeSecretFile (path: string, prefix: string): void {
  const folder = dirname(path)
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const half = `${path}.${process.pid}.new`
  try {
    writeDurably(half, `${prefix}${randomBytes(32).toString('base64url')}\n`)
    link(half, path)
  } finally {
    rmSync(half, { force: true })
  }
  syncFolder(folder)
}

/** Whether others than its owner may read the file; always false where files have no such modes. */
export function isReadableByOthers (path: string): boolean {
  return process.platform !== 'win32' && (statSync(path).mode & 0o044) !== 0
}

// What is sealed under a key is lost with it, so the key is on disk before its first use.
function writeDurably (path: string, text: string): void {
  const file = openSync(path, 'wx', 0o600)
  try {
    writeSync(file, text)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}

// A link appears whole or not at all, and of two gateways that start together the second takes the first's.
function link (from: string, to: string): void {
  try {
    linkSync(from, to)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
  }
}

function syncFolder (folder: string): void {
  if (process.platform === 'win32') return // a folder cannot be opened there
  const handle = openSync(folder, 'r')
  try {
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
}
