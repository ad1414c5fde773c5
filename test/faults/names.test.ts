// Names that cannot be resolved, late, or to somewhere else: R51 of the fault list.

import dns, { type LookupAddress, type LookupAllOptions } from 'node:dns'
import { syncBuiltinESMExports } from 'node:module'
import t from 'tap'
import { world, type World } from '../delivery/world.ts'
import { until } from '../helpers/fake-runtime.ts'
import { faultServer, status } from '../helpers/fault-server.ts'
import type { Teardown } from '../helpers/tmp.ts'
import { quiet } from './watch.ts'

const NAME = 'provider.example'
const RETRY_MS = 31 * 60_000

type Found = (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void
/** Stands in for the system's resolver, for that one name, until the test ends. */
interface Resolver { asked: number, answer (found: Found): void }

function resolver (t: Teardown): Resolver {
  const before = dns.lookup
  const made: Resolver = { asked: 0, answer: at('127.0.0.1') }
  dns.lookup = ((host: string, options: LookupAllOptions, found: Found) => {
    if (host !== NAME) { before(host, options, found); return }
    made.asked++
    made.answer(found)
  }) as typeof dns.lookup
  syncBuiltinESMExports()
  t.teardown(() => { dns.lookup = before; syncBuiltinESMExports() })
  return made
}

function at (...addresses: string[]): (found: Found) => void {
  return found => { setImmediate(found, null, addresses.map(address => ({ address, family: address.includes(':') ? 6 : 4 }))) }
}

function failing (code: string): (found: Found) => void {
  return found => { setImmediate(found, Object.assign(new Error(`getaddrinfo ${code} ${NAME}`), { code }), []) }
}

interface Named { w: World, names: Resolver, received (): number, port: number }

/** A provider known by its name, which cannot tell repeats apart. Every connection is for one request. */
async function named (t: Teardown): Promise<Named> {
  const names = resolver(t)
  const server = await faultServer(t, status(202, { connection: 'close' }))
  const w = await world(t, { origin: `http://${NAME}:${server.port}`, providers: [{ uncertain: 'park', deadlineMs: 15_000 }] })
  return { w, names, received: () => server.received.length, port: server.port }
}

t.test('R51: a name that cannot be resolved has sent nothing; it is tried again and goes out when it can be', async t => {
  const { w, names, received } = await named(t)
  const failures: Record<string, { answer: (found: Found) => void, detail: RegExp }> = {
    NXDOMAIN: { answer: failing('ENOTFOUND'), detail: /ENOTFOUND/ },
    SERVFAIL: { answer: failing('EAI_AGAIN'), detail: /EAI_AGAIN/ },
    'no address': { answer: at(), detail: /./ }
  }
  let sent = 0
  for (const [what, { answer, detail }] of Object.entries(failures)) {
    names.answer = answer
    const [id] = await w.accept('a') as [string]
    t.match(await w.becomes(id, 'waiting', 'not_connected_to_provider'), { detail, settled_at: null }, what)
    w.runtime.skip(RETRY_MS)
    await until('it is tried again', () => w.attempts.filter(({ delivery }) => delivery === id).length === 2)
    await w.becomes(id, 'waiting', 'not_connected_to_provider')
    names.answer = at('127.0.0.1')
    w.runtime.skip(RETRY_MS)
    await w.becomes(id, 'delivered')
    t.equal(received(), ++sent, what)
  }
  t.equal(names.asked, 9, 'each time anew')
})

t.test('R51: a name that takes ten seconds is waited for, and one that takes longer than the deadline is not sent to afterwards', async t => {
  const { w, names, received } = await named(t)
  const held: Found[] = []
  names.answer = found => { held.push(found) }
  const resolveHeld = (): void => { for (const found of held.splice(0)) at('127.0.0.1')(found) }
  const [slow] = await w.accept('a') as [string]
  await until('the name is asked for', () => held.length === 1)
  w.runtime.skip(10_000)
  await quiet(w)
  t.equal((await w.shown(slow)).state, 'sending')
  resolveHeld()
  await w.becomes(slow, 'delivered')

  const [late] = await w.accept('a') as [string]
  await until('the name is asked for', () => held.length === 1)
  w.runtime.skip(15_000)
  t.match(await w.becomes(late, 'waiting', 'not_connected_to_provider'), { detail: /DEADLINE/ })
  resolveHeld()
  await quiet(w)
  t.equal(received(), 1, 'its answer came too late for it')
  names.answer = at('127.0.0.1')
  w.runtime.skip(RETRY_MS)
  await w.becomes(late, 'delivered')
  t.equal(received(), 2)
})

t.test('R51: a name that was good and leads to another network the next time is refused where it would be connected to', async t => {
  const { w, names, received } = await named(t)
  await w.all(await w.accept('a'), 'delivered')
  for (const address of ['10.0.0.1', '169.254.169.254', '8.8.8.8']) {
    names.answer = at(address)
    const [id] = await w.accept('a') as [string]
    t.match(await w.becomes(id, 'waiting', 'not_connected_to_provider'), { detail: /ADDRESS_REFUSED/, settled_at: null }, address)
    names.answer = at('127.0.0.1')
    const before = received()
    w.runtime.skip(RETRY_MS)
    await w.becomes(id, 'delivered')
    t.equal(received(), before + 1)
  }
})

t.test('R51: a provider on the internet is never looked for in a private network, whatever its name says', async t => {
  const { w, names, received, port } = await named(t)
  const [alpha] = [...w.providers.values()]
  if (!alpha) return t.fail('there is no provider')
  await w.deliver.use(w.config, new Map([[alpha.id, { ...alpha, baseUrl: `https://${NAME}:${port}` }]]))
  for (const addresses of [['127.0.0.1'], ['8.8.8.8', '127.0.0.1'], ['::ffff:127.0.0.1'], ['192.168.1.1'], ['169.254.169.254']]) {
    names.answer = at(...addresses)
    const [id] = await w.accept('a') as [string]
    t.match(await w.becomes(id, 'waiting', 'not_connected_to_provider'), { detail: /ADDRESS_REFUSED/, settled_at: null }, addresses.join())
  }
  t.equal(received(), 0)
})
