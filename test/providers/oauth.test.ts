// What is wrong with a way by OAuth in a manifest, and with the platform's app in the config, each at its place.

import t from 'tap'
import { loadAll } from '../../gateway/load.ts'
import { lanternConfig, LANTERN_ENTRY, makeLanternApp } from '../helpers/lantern.ts'
import type { Test } from 'tap'

async function faultsOf (t: Test, { manifest = text => text, config = lanternConfig(), env = {} }: { manifest?: (text: string) => string, config?: string, env?: Record<string, string> }): Promise<string[]> {
  const app = makeLanternApp(t, { manifest, config, env })
  const { faults } = await loadAll({ file: 'gateway.config.yaml', cwd: app.dir, env: app.env, createSecrets: false, sandboxUrl: null })
  return faults.map(({ code, message }) => `${code} ${message}`)
}

t.test('a manifest with OAuth is sound, with an app in the config and without', async t => {
  t.strictSame(await faultsOf(t, {}), [])
  t.strictSame(await faultsOf(t, { config: lanternConfig(config => config.replace(LANTERN_ENTRY, '  lantern: { path: providers/lantern }\n')) }), [])
})

const SPOILT: Array<[string, (text: string) => string, RegExp]> = [
  ['a header reads another secret', text => text.replace('secret.access_token', 'secret.api_token'), /GW_CONFIG_REFERENCE of OAuth there is no secret\.api_token/],
  ['the step names a way without OAuth', text => text.replace('text: Allow the app., auth: oauth', 'text: Allow the app., auth: key'), /the way "key" has no oauth2/],
  ['no step connects by it', text => text.replace(/ {2}- \{ id: allow.*\n/, '').replace('needs: [allow]', 'needs: [key]'), /no set-up step connects by it/],
  ['a step asks for what is not typed in', text => text.replace('text: Paste it., auth: key', 'text: Paste it., auth: oauth'), /"oauth" is not typed in but allowed in the browser/],
  ['nothing says whose account it is', text => text.replace('save: { account_id: /id, account_name: /name } }, says', 'save: { account_name: /name } }, says'), /GW_CONFIG_MISSING_KEY its tokens change/],
  ['the step has no check', text => text.replace(/ auth: oauth, check: .*?\} \}, says/, ' auth: oauth, says'), /a step of kind oauth2 needs check/],
  ['plain http', text => text.replace('https://api.lantern.example/oauth/token', 'http://api.lantern.example/oauth/token'), /token_url/],
  ['no scopes', text => text.replace(/scopes: \[.*\]/, 'scopes: []'), /scopes/],
  ['a second one', text => text.replace('headers: { accept', '  other: { headers: { authorization: "Bearer {{ secret.access_token }}" }, oauth2: { authorize_url: https://a.example/a, token_url: https://a.example/t, scopes: [a] } }\nheaders: { accept'), /another way has oauth2 already/]
]
for (const [name, manifest, fault] of SPOILT) {
  t.test(`refused: ${name}`, async t => {
    const faults = await faultsOf(t, { manifest })
    t.ok(faults.some(one => fault.test(one)), faults.join('\n') || 'no fault')
  })
}

t.test('half an app is a fault, and so is a shop declared by OAuth', async t => {
  t.match(await faultsOf(t, { config: lanternConfig(config => config.replace(', client_secret: { env: LANTERN_SECRET }', '')) }), [/lantern needs the secret "client_secret"/])
  t.match(await faultsOf(t, { config: lanternConfig(config => config.replace('client_secret:', 'client_secrett:')) }), [/lantern needs the secret "client_secret"/, /Did you mean|no secret called "client_secrett"/])
  const declared = lanternConfig(config => config.replace('connections: [{ provider: courier,', 'connections: [{ provider: lantern, auth: oauth, secrets: { access_token: { env: ACME_KEY } } }, { provider: courier,'))
  t.match(await faultsOf(t, { config: declared }), [/asks the merchant in the browser for "oauth"/])
})

t.test('a secret of the sandbox alone is not there without it', async t => {
  const config = lanternConfig(text => text.replace('{ env: LANTERN_ID }', '{ env: LANTERN_ID, sandbox: true }').replace('{ env: LANTERN_SECRET }', '{ env: LANTERN_SECRET, sandbox: true }'))
  const app = makeLanternApp(t, { config })
  const loaded = async (sandbox: boolean) => (await loadAll({ file: 'gateway.config.yaml', cwd: app.dir, env: app.env, createSecrets: false, sandbox, sandboxUrl: null })).loaded?.config.providers.find(({ id }) => id === 'lantern')?.secrets
  t.strictSame(Object.keys(await loaded(true) ?? {}), ['client_id', 'client_secret'])
  t.strictSame(await loaded(false), {})
})
