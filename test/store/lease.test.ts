// When an account is certainly this instance's: what the store says of it, and what it does not know any more.

import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { ALL_SLOTS, type Step, type StepResult, type StoreEvents } from '../../gateway/contract.ts'
import { GatewayError } from '../../gateway/errors.ts'
import { Lease } from '../../gateway/store/lease.ts'

const OWNER = 1
const EPOCH = 5

async function until (question: () => boolean): Promise<void> {
  while (!question()) await sleep(5)
}

t.test('slots that may have been given up are nobody\'s to work on until the store has said whose they are (R24)', async t => {
  let live = 1
  let unsure = true
  let late = 0
  const given = new Set<number>()
  const asked: string[] = []
  const rowsOf = (): StepResult['rows'] => ALL_SLOTS.filter(slot => !given.has(slot)).map(slot => ({ slot, epoch: EPOCH, expires_at: 60_000 }))
  const commit = async (unit: Step[]): Promise<StepResult[]> => unit.map(({ name, params }) => {
    asked.push(name)
    if (name === 'join_instances') return { changes: 1, rows: [{ owner: OWNER }] }
    if (name === 'renew_slots' || name === 'take_slots') return { changes: 256, rows: rowsOf() }
    if (name !== 'give_slots') return { changes: 1, rows: [] }
    const slots = JSON.parse(String(params.slots)) as number[]
    for (const slot of slots) given.add(slot)
    if (unsure) throw new GatewayError('GW_STORE_UNSURE', 'Nobody knows.')
    return { changes: slots.length, rows: slots.map(slot => ({ slot })) }
  })
  const errors: unknown[] = []
  const lost: number[] = []
  const events: StoreEvents = { taken: async () => {}, asked: async () => {}, lost: slots => { lost.push(...slots) }, work () {}, news () {}, onError: error => { errors.push(error) } }
  const lease = await Lease.join({ leaseMs: 60_000, commit, read: async () => [{ live }], mono: () => performance.now() + late, now: () => 0, events, tell () {} })
  await lease.start()
  t.equal(lease.mine.length, 256)
  t.equal(lease.epoch(200), EPOCH)
  live = 2 // another one has joined
  lease.look()
  await until(() => errors.length > 0)
  t.match(errors, [{ code: 'GW_STORE_UNSURE' }])
  t.ok(given.size > 0, 'they were given up all the same')
  t.strictSame(ALL_SLOTS.filter(slot => lease.epoch(slot) !== null), [], 'nothing is worked on')
  unsure = false
  lease.look()
  await until(() => lost.length > 0)
  t.strictSame(new Set(lost), given, 'what is another one\'s is known')
  t.strictSame(ALL_SLOTS.filter(slot => lease.epoch(slot) === null), [...given].toSorted((a, b) => a - b), 'and the others go on')
  late = 60_000
  t.equal(lease.epoch(200), null, 'a lease that was not renewed is over')
  await lease.stop()
})

/** A store in which all slots are this instance's; each renewal lets them last until another time. */
function alone () {
  const units: Step[][] = []
  let renewals = 0
  /** What was known of the lease when it was given up, per time that happened. */
  const givenAt: number[] = []
  const commit = async (unit: Step[]): Promise<StepResult[]> => {
    units.push(unit)
    return unit.map(({ name, params }) => {
      if (name === 'join_instances') return { changes: 1, rows: [{ owner: OWNER }] }
      if (name === 'renew_slots') renewals++
      if (name === 'renew_slots') return { changes: 256, rows: ALL_SLOTS.map(slot => ({ slot, epoch: EPOCH, expires_at: renewals })) }
      if (name !== 'give_slots') return { changes: 0, rows: [] }
      givenAt.push(Number(params.known_until))
      const slots = JSON.parse(String(params.slots)) as number[]
      return { changes: 0, rows: renewals > Number(params.known_until) ? [] : slots.map(slot => ({ slot })) }
    })
  }
  return { units, givenAt, commit, renewals: () => renewals, renewElsewhere: () => { renewals++ } }
}

const SILENT: StoreEvents = { taken: async () => {}, asked: async () => {}, lost () {}, work () {}, news () {}, onError () {} }
const own = { mono: () => performance.now(), now: () => 0, tell () {} }

t.test('taking over what was left may last longer than a lease, which is renewed all the same; one that fails is tried again (R24)', async t => {
  const store = alone()
  const { promise: recovered, resolve: done } = Promise.withResolvers<void>()
  const errors: unknown[] = []
  let tries = 0
  let ended = false
  const taken = async (): Promise<void> => {
    if (++tries === 2) throw new GatewayError('GW_STORE_FAILED', 'Not now.')
    if (tries === 1) await recovered
  }
  const lease = await Lease.join({ leaseMs: 300, commit: store.commit, read: async () => [{ live: 1 }], ...own, events: { ...SILENT, taken, onError: error => { errors.push(error) } } })
  t.notOk(store.units.flat().some(({ name }) => name === 'renew_instance'), 'it is not counted before it starts')
  const started = lease.start().then(() => { ended = true })
  await until(() => store.renewals() >= 5)
  t.strictSame([tries, ended, lease.mine.length], [1, false, 0], 'nothing is worked on before that')
  const stopped = lease.stop()
  await sleep(20)
  t.strictSame(store.givenAt, [], 'what is being taken over is not given up')
  done()
  await Promise.all([started, stopped])
  t.equal(store.givenAt.length, 1)

  const next = await Lease.join({ leaseMs: 300, commit: store.commit, read: async () => [{ live: 1 }], ...own, events: { ...SILENT, taken, onError: error => { errors.push(error) } } })
  await t.rejects(next.start(), { code: 'GW_STORE_FAILED' })
  t.match(errors, [{ code: 'GW_STORE_FAILED' }])
  await until(() => next.mine.length === 256)
  t.equal(tries, 3)
  await next.stop()
})

t.test('slots that were not given up, since their lease is another one by then, are kept and given up anew (R24)', async t => {
  const store = alone()
  let live = 1
  let told = 0
  const asked = async (): Promise<void> => { if (store.givenAt.length === 0) store.renewElsewhere() } // a renewal that was not heard of
  const lease = await Lease.join({ leaseMs: 300, commit: store.commit, read: async () => [{ live }], ...own, tell: () => { told = store.givenAt.length }, events: { ...SILENT, asked } })
  await lease.start()
  live = 2
  await until(() => told > 1)
  const [first, second] = store.givenAt as [number, number]
  t.ok(second > first, 'by what was renewed meanwhile')
  await lease.stop()
})
