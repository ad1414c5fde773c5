// A real browser, where one is installed: Chromium, as $CHROMIUM says or from the PATH.

import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { delimiter, join } from 'node:path'
import { chromium, type Browser, type BrowserContextOptions, type Page } from 'playwright-core'
import type { Teardown } from './tmp.ts'

const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js')

const program = process.env['CHROMIUM'] ?? ['chromium', 'chromium-browser', 'google-chrome']
  .flatMap(name => (process.env['PATH'] ?? '').split(delimiter).map(folder => join(folder, name))).find(existsSync)

export const haveNoBrowser = program === undefined && 'there is no Chromium on the PATH, and CHROMIUM names none'

let running: Promise<Browser> | null = null

/** A page of a fresh profile, and all that the browser complained of. */
export async function openPage (t: Teardown, options: BrowserContextOptions = {}): Promise<{ page: Page, complaints: string[] }> {
  running ??= chromium.launch({ executablePath: program as string, args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'] })
  const browser = await running
  const context = await browser.newContext(options)
  t.teardown(async () => {
    await context.close()
    if (browser.contexts().length > 0) return
    running = null
    await browser.close()
  })
  const page = await context.newPage()
  const complaints: string[] = []
  page.on('console', message => { if (['error', 'warning'].includes(message.type())) complaints.push(message.text()) })
  page.on('pageerror', error => { complaints.push(error.message) })
  return { page, complaints }
}

/** What stands in the way of people who do not see, hear or point: ids of axe's rules with the elements. The page's context must bypass its CSP. */
export async function barriers (page: Page): Promise<string[]> {
  await page.addScriptTag({ path: AXE })
  const found = await page.evaluate('axe.run()') as { violations: Array<{ id: string, nodes: Array<{ html: string }> }> }
  return found.violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`)
}
