// The folder as it is, but that Postscript tells nothing by itself: how people stand is found out by asking alone, as where its
// webhooks do not come through.

import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse, stringify } from 'yaml'
import { SCRATCH } from '../../test/helpers/tmp.ts'

const HERE = import.meta.dirname

/** Made once; gone with the process. */
export const SILENT = made()

function made (): string {
  const dir = mkdtempSync(join(SCRATCH, 'postscript-silent-'))
  process.once('exit', () => { rmSync(dir, { recursive: true, force: true }) })
  cpSync(join(HERE, 'mapping'), join(dir, 'mapping'), { recursive: true })
  const { webhooks, ...manifest } = parse(readFileSync(join(HERE, 'provider.yaml'), 'utf8')) as Record<string, unknown>
  if (webhooks === undefined) throw new Error('there are no webhooks to leave out')
  writeFileSync(join(dir, 'provider.yaml'), stringify(manifest))
  writeFileSync(join(dir, 'sandbox.ts'), `export { default } from ${JSON.stringify(join(HERE, 'sandbox.ts'))}\n`)
  return dir
}
