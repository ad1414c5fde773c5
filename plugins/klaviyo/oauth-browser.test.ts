// The way to Klaviyo and back in a real browser: cookies, redirects and the pages' own rules as browsers hold them.

import t, { type Test } from 'tap'
import { CONFIG, startApp, type App } from '../../test/helpers/app.ts'
import { barriers, haveNoBrowser, openPage } from '../../test/helpers/browser.ts'
import { link } from '../../test/helpers/lantern.ts'
import { SHOP } from '../../test/helpers/setup.ts'

const ENV = { CLIENT: '6a9ae4be-0123-4567-89ab-0123456789ab', SECRET: 'secret-of_the.app-0123456789' }
const SKIP = { skip: haveNoBrowser }

async function started (t: Test): Promise<{ app: App, url: string }> {
  const app = await startApp(t, { env: ENV, config: CONFIG.replace('providers:\n', `providers:\n  klaviyo: { path: ${import.meta.dirname}, secrets: { client_id: { env: CLIENT }, client_secret: { env: SECRET } } }\n`) })
  return { app, url: (await link(app, { provider: 'klaviyo', step: 'oauth' })).body.authorize.url }
}

for (const javaScriptEnabled of [true, false]) {
  t.test(`C1: a merchant reads which shop it is, allows it, and comes back connected${javaScriptEnabled ? '' : ', with scripts turned off'}`, SKIP, async t => {
    const { app, url } = await started(t)
    const { page, complaints } = await openPage(t, { javaScriptEnabled })
    await page.goto(url)
    t.equal(await page.getByRole('heading').innerText(), 'Connect Acme to Klaviyo')
    await page.getByRole('button', { name: 'Continue to Klaviyo' }).click()
    await page.getByRole('button', { name: 'Allow' }).click()
    await page.waitForURL(/\/callback/)
    t.equal(await page.getByRole('heading').innerText(), 'Connected as Sandbox')
    t.match(await page.locator('main').innerText(), /Acme \(acme\.example\) is connected to this Klaviyo account now/)
    t.strictSame(complaints, [])
    t.match((await app.ask('GET', `/v1/shops/${SHOP}/providers/klaviyo`)).body.connection, { status: 'connected', auth: 'oauth' })
  })
}

t.test('#43: a link that is used up says so in words, and another browser cannot go on with the way of the first', SKIP, async t => {
  const { url } = await started(t)
  const { page } = await openPage(t)
  await page.goto(url)
  await page.getByRole('button', { name: 'Continue to Klaviyo' }).click()
  const { page: other } = await openPage(t)
  await other.goto(url)
  t.equal(await other.getByRole('heading').innerText(), 'This link is used up or too old')
  await other.goto(page.url()) // the consent page, where the state belongs to the first browser
  await other.getByRole('button', { name: 'Allow' }).click()
  await other.waitForURL(/\/callback/)
  t.equal(await other.getByRole('heading').innerText(), 'This link is used up or too old')
})

t.test('nothing in the pages stands in anybody\'s way', SKIP, async t => {
  const { url } = await started(t)
  const { page } = await openPage(t, { bypassCSP: true })
  await page.goto(url)
  t.strictSame(await barriers(page), [])
  await page.getByRole('button', { name: 'Continue to Klaviyo' }).click()
  await page.getByRole('button', { name: 'Allow' }).click()
  await page.waitForURL(/\/callback/)
  t.strictSame(await barriers(page), [])
})
