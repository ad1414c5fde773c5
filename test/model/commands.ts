// What may happen, one after the other, to the model and to the real thing; after each both must say the same.

import fc from 'fast-check'
import { STATE } from '../../gateway/contract.ts'
import { type Fate, type Gateway, Model, type Policy, WINDOW } from './model.ts'
import { Real, type RealGateway } from './real.ts'

type Command = fc.AsyncCommand<Model, Real>
const GATEWAYS = [0, 1] as const
const FATES: Fate[] = ['accepted', 'accepted', 'refused', 'limited', 'failed', 'unanswered']
const RESTS_WITHIN = 300

function same (what: string, real: unknown, model: unknown): void {
  if (JSON.stringify(real) !== JSON.stringify(model)) throw new Error(`${what}: it is ${JSON.stringify(real)}, and should be ${JSON.stringify(model)}`)
}

function command (name: string, may: (model: Model) => boolean, run: (model: Model, real: Real) => Promise<void>): Command {
  return {
    check: may,
    async run (model, real) {
      await run(model, real)
      await compare(model, real)
    },
    toString: () => name
  }
}

/** Every row as the model has it, the windows kept, and nothing that may never be. */
async function compare (model: Model, real: Real): Promise<void> {
  const shown = real.rows().map(row => [row.delivery_key, row.state, row.attempts, row.call_no, row.claims, row.owner, row.due_at !== null, row.finished_at !== null])
  same('deliveries', shown, [...model.deliveries].map(([key, { state, attempts, calls, claims, owner, due, ended }]) => [key, state, attempts, calls, claims, owner, due, ended]))
  same('what may never be', await real.wrong(), [])
  same('what is left of who was erased', real.leftOf([...model.erased]), [])
  if (model.most() > WINDOW.max) throw new Error(`${model.most()} requests within ${WINDOW.perMs} ms, ${WINDOW.max} are allowed`)
}

const accept = command('accept', () => true, async (model, real) => { model.accept(await real.accept()) })

const acceptAgain = (n: number): Command => command(`accept ${n} again`, ({ deliveries }) => deliveries.size > 0, async (_model, real) => {
  same('a repeat is new', await real.acceptAgain(n), false)
})

const pass = (ms: number): Command => command(`${ms} ms pass`, () => true, async (model, real) => {
  await real.time.doze(ms)
  model.now = real.time.now
})

/** What was sent before a step ahead looks older than it is to whoever takes the account over: no window spans it. */
const clock = (ms: number): Command => command(`the clock is set by ${ms} ms`, () => true, async (model, real) => {
  real.db.offMs += ms
  if (ms > 0) model.arrivals = []
})

const hold = (held: boolean): Command => command(held ? 'hold' : 'release', model => model.held !== held, async (model, real) => {
  model.held = held
  await real.hold(held)
})

const retry = (n: number, unknown: boolean): Command => command(`retry ${n}${unknown ? ', twice is acceptable' : ''}`, ({ deliveries }) => deliveries.size > 0, async (model, real) => {
  const key = [...model.deliveries.keys()][n % model.deliveries.size] as number
  const may = model.mayRetry(key, unknown)
  same('may be retried', await real.retry(key, unknown), may)
  if (may) model.retry(key)
})

/** The person of an event asks to be erased: from then on nothing is sent to them. */
const redact = (n: number): Command => command(`erase the person of ${n}`, ({ deliveries }) => deliveries.size > 0, async (model, real) => {
  const key = [...model.deliveries.keys()][n % model.deliveries.size] as number
  model.redact(key, await real.redact(key))
})

const erase = command('the job erases', () => true, async (model, real) => {
  await real.erase()
  model.erase()
})

// ── of one gateway ──

const join = (at: number): Command => command(`${at} joins`, ({ gateways }) => gateways[at] === null, async (model, real) => { model.join(at, await real.join(at)) })

const crash = (at: number): Command => command(`${at} crashes`, ({ gateways }) => gateways[at] !== null, async (model, real) => {
  model.crash(at)
  real.gateways[at] = null
})

function of (name: string, at: number, may: (gateway: Gateway, model: Model) => boolean, run: (model: Model, real: Real, mine: { gateway: Gateway, there: RealGateway }) => Promise<void>): Command {
  return command(`${at} ${name}`, model => model.gateways[at] != null && may(model.gateways[at], model), async (model, real) => {
    await run(model, real, { gateway: model.gateways[at] as Gateway, there: real.gateways[at] as RealGateway })
  })
}

const renew = (at: number): Command => of('renews', at, () => true, async (model, real, { gateway, there }) => {
  const epoch = await real.renew(there)
  model.renew(gateway)
  if (epoch !== there.epoch) there.epoch = null
  same('the epoch', there.epoch, gateway.epoch)
})

const take = (at: number): Command => of('takes', at, () => true, async (model, real, { gateway, there }) => {
  const may = model.mayTake(gateway)
  same('may be taken', await real.take(there), may)
  if (may) model.take(gateway)
})

const reload = (at: number): Command => of('reloads', at, () => true, async (_model, real, { there }) => { await real.reload(there) })
const poll = (at: number): Command => of('polls', at, () => true, async (_model, real, { there }) => { await real.poll(there) })

const claim = (at: number, n: number): Command => of(`claims ${n}`, at, (gateway, model) => model.isSure(gateway), async (model, real, { gateway, there }) => {
  const limit = Math.min(n, real.room(there))
  if (limit < 1) return
  const due = real.due()
  const keys = await real.claim(there, limit)
  same('how many were claimed', keys.length, model.mayClaim(gateway) ? Math.min(limit, due) : 0)
  for (const key of keys) model.claim(gateway, key)
})

/** The call on disk, and the request on its way where the lease lasts long enough for it. */
const start = (at: number): Command => of('starts', at, ({ claimed }) => claimed.length > 0, async (model, real, { gateway, there }) => {
  gateway.claimed.shift()
  const { key, row, is, changes } = await real.start(there)
  const mine = model.isMine(gateway, key, row.epoch as number)
  same('rows written', changes, mine ? 1 : 0)
  if (mine) same('its person was erased', is === 'redacted', model.deliveries.get(key)?.redacted)
  if (is === 'redacted' && mine) {
    model.refuse(key)
    model.erased.add(key)
    model.blank.add(key)
  }
  if (is === 'full' && mine) model.giveBack(key)
  if (is !== 'started') return
  model.start(key)
  gateway.inFlight.push(key)
  if (model.isSure(gateway) && gateway.epoch === row.epoch) model.arrive()
  else await settled(model, real, { gateway, there }, 'not_sent')
})

const end = (at: number, fate: Fate): Command => of(`has one ${fate}`, at, ({ inFlight }) => inFlight.length > 0, async (model, real, mine) => { await settled(model, real, mine, fate) })

async function settled (model: Model, real: Real, { gateway, there }: { gateway: Gateway, there: RealGateway }, fate: Fate): Promise<void> {
  gateway.inFlight.shift()
  const { key, row, changes } = await real.answer(there, fate)
  const mine = model.isMine(gateway, key, row.epoch as number)
  same('ends written', changes, mine ? 1 : 0)
  if (mine) model.settle(key, fate, row.state === STATE.unknown)
}

/** The other one was away for longer than its lease, and goes on as if nothing had been. */
const takeOver = (at: number): Command => command(`${at} takes over`, () => true, async (model, real) => {
  for (const one of [join(at), pass(6500), take(at)]) if (await one.check(model)) await one.run(model, real)
})

// ── all of them ──

const gateway = fc.constantFrom(...GATEWAYS)
const number = fc.nat({ max: 30 })

export const commands = fc.commands([
  fc.constant(accept),
  number.map(acceptAgain),
  fc.constantFrom(100, 900, 2500, 6500).map(pass),
  fc.constantFrom(100, 900).map(pass),
  fc.constantFrom(-60_000, -1000, 1000, 60_000).map(clock),
  fc.boolean().map(hold),
  number.map(redact),
  fc.constant(erase),
  fc.tuple(number, fc.boolean()).map(([n, unknown]) => retry(n, unknown)),
  gateway.map(join),
  gateway.map(crash),
  gateway.map(renew), gateway.map(renew),
  gateway.map(take), gateway.map(take),
  gateway.map(takeOver),
  gateway.map(reload),
  gateway.map(poll),
  fc.tuple(gateway, fc.integer({ min: 1, max: 4 })).map(([at, n]) => claim(at, n)),
  fc.tuple(gateway, fc.integer({ min: 1, max: 4 })).map(([at, n]) => claim(at, n)),
  gateway.map(start), gateway.map(start), gateway.map(start),
  fc.tuple(gateway, fc.constantFrom(...FATES)).map(([at, fate]) => end(at, fate)),
  fc.tuple(gateway, fc.constantFrom(...FATES)).map(([at, fate]) => end(at, fate))
], { maxCommands: 60, size: '+1' })

/** Begins with events and a gateway that has the account: what follows would do little without. */
export async function begun (policy: Policy): Promise<{ model: Model, real: Real }> {
  const [model, real] = [new Model(policy), new Real(policy)]
  await real.open()
  for (const one of [accept, accept, accept, accept, accept, accept, join(0), take(0), claim(0, 4), start(0)]) if (await one.check(model)) await one.run(model, real)
  return { model, real }
}

/** R92: once nothing is in the way, all comes to its end. */
export async function rested (model: Model, real: Real): Promise<void> {
  const usual = [erase, hold(false), crash(1), join(0), pass(6500), take(0), renew(0), poll(0), claim(0, 4), start(0), start(0), start(0), start(0), end(0, 'accepted'), end(0, 'accepted'), end(0, 'accepted'), end(0, 'accepted')]
  for (let i = 0; i < RESTS_WITHIN && [...model.deliveries.values()].some(({ ended }) => !ended); i++) {
    for (const one of usual) if (await one.check(model)) await one.run(model, real)
  }
  same('what is not at its end', [...model.deliveries].filter(([, { ended }]) => !ended), [])
}

/** Runs of so many commands, against both policies in turn. Throws with the seed and the shortest sequence that fails; `endOnFailure`: with the first. */
export async function modelRuns ({ numRuns, seed, spoil, endOnFailure = false }: { numRuns: number, seed: number, spoil?: (real: Real) => void, endOnFailure?: boolean }): Promise<void> {
  await fc.assert(fc.asyncProperty(commands, fc.constantFrom<Policy>('repeat', 'park'), async (sequence, policy) => {
    const { model, real } = await begun(policy)
    try {
      spoil?.(real)
      await fc.asyncModelRun(async () => ({ model, real }), sequence)
      await rested(model, real)
    } finally {
      real.close()
    }
  }), { numRuns, seed, endOnFailure })
}
