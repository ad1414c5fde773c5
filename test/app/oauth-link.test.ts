// A link to connect a shop may come to anybody: what the page before the provider says, and who may press its button.

import t from 'tap'
import { Browser, connectionOf, harmless, lanternConfig, link, refused, seen, startLanternApp } from '../helpers/lantern.ts'
import { SHOP } from '../helpers/setup.ts'

const EXPIRED = /This link has expired\. Start again from your app\./

t.test('#42: whoever opens a link reads which shop is to be connected to what, and is sent nowhere', async t => {
  const app = await startLanternApp(t)
  const browser = new Browser()
  const page = await browser.get((await link(app)).body.authorize.url)
  t.equal(page.status, 200)
  harmless(t, page, 'same-origin') // told no referrer at all, a browser posts the form without its origin
  t.match(page.text, /<html lang="en">.*<title>Connect Acme to Lantern<\/title>.*<main><h1>Connect Acme to Lantern<\/h1>/)
  t.match(page.text, /The shop Acme \(acme\.example\) is to be connected to a Lantern account\./)
  t.match(page.text, /Close this page\. Nothing has happened yet\./)
  t.match(page.text, /<form method="post"><button type="submit">Continue to Lantern<\/button><\/form>/)
  t.notMatch(page.text, /<script|style=|http-equiv/)
  t.equal(browser.cookies.size, 0)
  t.strictSame((await seen(app)).asked, [], 'nobody was sent to the provider')
})

t.test('a link that is looked at, as previews of it do, works until it is used or expires', async t => {
  const app = await startLanternApp(t)
  const { url } = (await link(app)).body.authorize
  for (let n = 0; n < 3; n++) t.equal((await new Browser().get(url)).status, 200)
  const browser = new Browser()
  const sent = await browser.leave(url)
  t.equal(sent.status, 303)
  harmless(t, sent)
  refused(t, await new Browser().get(url), EXPIRED, 'used')
  const back = await browser.get((await new Browser().get(sent.location)).location)
  t.match(back.text, /Connected as Shop one/)
})

t.test('#42: the button is ours alone: what another site sends, or nobody says where from, uses nothing up', async t => {
  const app = await startLanternApp(t)
  const { url } = (await link(app)).body.authorize
  const { origin } = new URL(app.url)
  const foreign: Array<Record<string, string>> = [
    {}, { origin: 'null' }, { origin: 'https://evil.example' }, { origin: `${origin}.evil.example` }, { origin: origin.replace(/\d+$/, '1') }, { origin: origin.replace('http:', 'https:') },
    { origin, 'sec-fetch-site': 'cross-site' }, { origin, 'sec-fetch-site': 'same-site' }, { 'sec-fetch-site': 'none' }, { origin: 'https://evil.example', 'sec-fetch-site': 'same-origin' }
  ]
  for (const headers of foreign) {
    const browser = new Browser()
    const page = await browser.post(url, headers)
    t.match(page, { status: 403, text: /This was not sent from our own page\. Open the link from your app once more/, location: '' }, JSON.stringify(headers))
    harmless(t, page)
    t.equal(browser.cookies.size, 0)
  }
  t.equal((await new Browser().post(url, { origin, 'content-type': 'application/json' })).status, 400, 'a body of another form')
  t.equal((await new Browser().post(url, { origin, 'content-type': 'text/plain' })).status, 400)
  for (const headers of [{ origin }, { 'sec-fetch-site': 'same-origin' }]) t.equal((await new Browser().post((await link(app)).body.authorize.url, headers)).status, 303, 'browsers that say one of the two')
  t.equal((await new Browser().post(url)).status, 303, 'and the link is good still')
  t.equal(await connectionOf(app), null)
})

t.test('what a shop is called is shown as text, and cut', async t => {
  const app = await startLanternApp(t)
  await app.ask('PUT', `/v1/shops/${SHOP}`, { body: { name: `<b onclick=x>\u202eA"&${'x'.repeat(150)}`, domain: '<i>.example', plan: 'pro' } })
  const { text } = await new Browser().get((await link(app)).body.authorize.url)
  t.match(text, /&#60;b onclick=x&#62; A&#34;&#38;x/)
  t.match(text, /\(&#60;i&#62;\.example\)/)
  t.notMatch(text, /<b |<i|\u202e/)
})

t.test('a page\'s form may lead over https and over what the test bench plays, and nowhere else', async t => {
  const app = await startLanternApp(t)
  const policyOf = async (body: object): Promise<unknown> => (await new Browser().get((await link(app, { body })).body.authorize.url)).headers['content-security-policy']
  const sandbox = new URL(app.sandboxUrl).origin
  const rest = "default-src 'none'; base-uri 'none'; form-action 'self' https:"
  t.equal(await policyOf({ return_url: 'https://app.example/back' }), `${rest} ${sandbox}; frame-ancestors 'none'`)
  t.equal(await policyOf({ return_url: 'http://localhost:3000/back' }), `${rest} ${sandbox} http://localhost:3000; frame-ancestors 'none'`)
})

t.test('a link for a shop is gone with a gateway that reaches the provider no more', async t => {
  const app = await startLanternApp(t)
  const { url } = (await link(app)).body.authorize
  app.write(lanternConfig(config => config.replace(/, secrets: \{ client_id.*\} \} \}/, ' }')))
  t.equal(await app.reload(), true)
  t.equal((await new Browser().get(url)).status, 404)
})
