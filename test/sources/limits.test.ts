// What somebody hears who sends too much to a source, or not what proves who it is.

import t from 'tap'
import { GatewayError } from '../../gateway/errors.ts'
import { createHttp } from '../../gateway/http.ts'
import { systemRuntime } from '../../gateway/runtime.ts'

t.test('a source that takes no more says for how long; who sends another token than the page\'s is asked for no API key', async t => {
  const app = createHttp({ runtime: systemRuntime(), trustProxy: [], onError: error => { throw error } })
  t.teardown(() => app.close())
  app.get('/limited', async () => { throw new GatewayError('GW_RATE_LIMITED', 'No more of this phone.', { retryAfterS: 1234 }) })
  app.get('/token', async () => { throw new GatewayError('GW_STOREFRONT_TOKEN', 'It is missing.') })
  app.get('/often', async () => { throw new GatewayError('GW_TOO_OFTEN', 'Five times.') })
  const limited = await app.inject('/limited')
  t.match({ status: limited.statusCode, after: limited.headers['retry-after'], body: limited.json() as object }, { status: 429, after: '1234', body: { error: { code: 'GW_RATE_LIMITED' } } })
  const token = await app.inject('/token')
  t.match({ status: token.statusCode, asks: token.headers['www-authenticate'] }, { status: 401, asks: undefined })
  t.equal((await app.inject('/often')).headers['retry-after'], '60', 'where nobody knows, it is as the code has it')
})
