// Starts that must not be, of the gateway as a process: R5, R9 and R11 of the fault list.

import { createHash } from 'node:crypto'
import { readFileSync, rmSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { API_KEY, startWorld, targetOf, type World } from './world.ts'
import { startGatewayProcess } from '../helpers/gateway-process.ts'
import { eventOf, post } from '../helpers/load.ts'
import { type StandIn, startStandIn } from '../helpers/stand-in.ts'
import { tempDir } from '../helpers/tmp.ts'

const SHOP = 'shop.example'

async function worldOf (t: Test, store?: Record<string, unknown>): Promise<World & { standIn: StandIn }> {
  const standIn = await startStandIn()
  t.teardown(() => standIn.close())
  return {
    dir: tempDir(t),
    standIn,
    ...(store && { store }),
    providers: [{ id: 'repeat', uncertain: 'repeat', concurrency: 4, windows: [{ max: 100, perMs: 1000 }] }],
    shops: [{ id: SHOP, provider: 'repeat', account: 'account' }]
  }
}

/** What a start on the world's files says that ends by itself; it fails where the gateway comes up. */
async function refusal (dir: string): Promise<string> {
  const start = startGatewayProcess({ config: { file: join(dir, 'gateway.config.yaml') }, dataDir: dir, env: { TEST_API_KEY: API_KEY } })
  return await start.then(async gateway => { await gateway.kill('SIGKILL'); throw new Error('it started') }, (error: Error) => error.message)
}

const hash = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex')

t.test('R11: a second process on the same file ends with 1 and says why; the first one does not notice', async t => {
  const world = await worldOf(t)
  const gateway = await startWorld(world)
  t.teardown(() => gateway.kill('SIGKILL'))
  const said = await refusal(world.dir)
  t.match(said, /ended with 1/)
  t.match(said, /GW_STORE_LOCKED/)
  t.match(said, /Stop the other gateway that uses this file/)
  t.equal((await post(targetOf(gateway), eventOf({ id: 'after', shop: SHOP })))?.status, 202)
  await world.standIn.until(() => world.standIn.arrivals.length === 1)
  await gateway.kill('SIGKILL')
  await gateway.restart()
  t.equal((await post(targetOf(gateway), eventOf({ id: 'again', shop: SHOP })))?.status, 202, 'and a lock dies with its holder')
})

t.test('R9: a start on a damaged file ends with 1, names the file and the way out, and changes nothing', async t => {
  const world = await worldOf(t)
  const gateway = await startWorld(world)
  await post(targetOf(gateway), eventOf({ id: 'kept', shop: SHOP }))
  await gateway.kill('SIGKILL')
  const path = join(world.dir, 'gateway.db')
  rmSync(`${path}-wal`)
  const before = hash(path)
  t.match(await refusal(world.dir), /ended with 1:[^]*gateway\.db-wal is missing[^]*GW_STORE_UNUSABLE/)
  t.equal(hash(path), before)
  rmSync(`${path}.in-use`)
  truncateSync(path, 1000)
  const cut = hash(path)
  t.match(await refusal(world.dir), /gateway\.db is cut off[^]*restore a backup if it is damaged/)
  t.equal(hash(path), cut)
})

t.test('R5: a start whose durability loses accepted events ends with 1, at the line that asks for it', async t => {
  const dir = tempDir(t)
  const world = { ...await worldOf(t, { driver: 'sqlite', path: join(dir, 'gateway.db'), synchronous: 'off' }), dir }
  await t.rejects(startWorld(world), { message: /ended with 1:[^]*gateway\.config\.yaml:\d+:\d+: \/store\/synchronous loses accepted events when the power fails/ })
})
