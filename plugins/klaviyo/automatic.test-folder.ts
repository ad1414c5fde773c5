// The folder as it is, but that automatic set-up is open to a private key too: what the task does is the same by either way,
// and a key spares each test the browser. That the shipped folder wants OAuth for it is tested in oauth.test.ts.

import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { SCRATCH } from '../../test/helpers/tmp.ts'

const HERE = import.meta.dirname
const WAYS = /^ *ways: \[oauth\]\n *otherwise: .*\n/m

/** Made once; gone with the process. */
export const FOLDER = made()

function made (): string {
  const dir = mkdtempSync(join(SCRATCH, 'klaviyo-by-key-'))
  process.once('exit', () => { rmSync(dir, { recursive: true, force: true }) })
  cpSync(join(HERE, 'mapping'), join(dir, 'mapping'), { recursive: true })
  const manifest = readFileSync(join(HERE, 'provider.yaml'), 'utf8')
  if (!WAYS.test(manifest)) throw new Error('automatic set-up is open to every way already')
  writeFileSync(join(dir, 'provider.yaml'), manifest.replace(WAYS, ''))
  writeFileSync(join(dir, 'index.ts'), `export { default } from ${JSON.stringify(join(HERE, 'index.ts'))}\n`)
  return dir
}
