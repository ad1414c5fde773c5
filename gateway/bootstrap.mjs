// Runs before `npm start` and `npm test`, and sets a fresh machine up. Plain JavaScript without packages, since
// it has to work on whatever Node the machine has (18 and later) before anything is installed.

import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const modules = join(root, 'node_modules')
const lock = join(root, '.setup.lock')
const stamp = join(modules, '.setup-stamp')
const windows = process.platform === 'win32'
const pinnedNode = join(modules, '.bin', windows ? 'node.cmd' : 'node')
const wanted = createHash('sha256').update(readFileSync(join(root, 'package-lock.json'))).digest('hex')

if (!isSetUp()) setUp()

// The stamp says which lock file the packages were installed from: a new one installs anew.
function isSetUp () {
  return existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted
}

function setUp () {
  takeLock()
  try {
    if (isSetUp()) return // another set-up did it while this one waited
    console.error('setup: first run, installing what package-lock.json names; this takes a minute')
    install()
    fetchNode()
    const version = versionOf(pinnedNode) || process.versions.node
    if (!isRecent(version)) throw new Error(`Node 24.15 or later is needed, and this is ${version}. Install it from nodejs.org and run the command again.`)
    writeFileSync(stamp, wanted)
    console.error(`setup: done, Node ${version}`)
  } catch (error) {
    console.error(`setup: ${error.message}`)
    process.exitCode = 1
  } finally {
    rmSync(lock, { force: true })
  }
}

// `npm start` and `npm test` may be called together: one installs, the other waits for it.
function takeLock () {
  let told = false
  for (;;) {
    try {
      writeFileSync(lock, String(process.pid), { flag: 'wx' })
      return
    } catch (error) {
      if (error.code !== 'EEXIST') throw error
    }
    if (isAbandoned()) rmSync(lock, { force: true })
    else if (!told) console.error('setup: waiting for another set-up in this folder; if there is none, delete .setup.lock')
    told = true
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 500)
  }
}

// A set-up that was cut off leaves its lock behind, with the number of a process that is no more, or empty.
function isAbandoned () {
  try {
    const owner = Number(readFileSync(lock, 'utf8'))
    if (owner === 0) return Date.now() - statSync(lock).mtimeMs > 10_000
    process.kill(owner, 0)
    return false
  } catch (error) {
    return error.code === 'ESRCH'
  }
}

// Development packages too, whatever NODE_ENV says: the pinned Node is one of them.
function install () {
  const args = ['ci', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error']
  const npm = process.env.npm_execpath
  if (npm && npm.endsWith('.js')) run(process.execPath, [npm, ...args])
  else run(windows ? 'npm.cmd' : 'npm', args)
}

// Where install scripts are switched off, the package `node` has not fetched its binary.
function fetchNode () {
  const folder = join(modules, 'node')
  if (isRecent(versionOf(pinnedNode)) || isRecent(process.versions.node) || !existsSync(folder)) return
  run(process.execPath, ['installArchSpecificPackage.js'], folder)
  if (!existsSync(pinnedNode) && !windows) symlinkSync('../node/bin/node', pinnedNode)
}

function run (command, args, cwd = root) {
  const { error, status, signal } = spawnSync(command, args, { cwd, stdio: 'inherit', shell: windows })
  if (error) throw error
  if (status !== 0) throw new Error(`"${[command, ...args].join(' ')}" ended with ${signal || status}`)
}

function versionOf (file) {
  const { status, stdout } = spawnSync(file, ['-p', 'process.versions.node'], { encoding: 'utf8', shell: windows })
  return status === 0 ? stdout.trim() : ''
}

function isRecent (version) {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return major > 24 || (major === 24 && minor >= 15)
}
