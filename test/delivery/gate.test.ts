import fc from 'fast-check'
import t from 'tap'
import type { LimitHeaders, Window } from '../../gateway/contract.ts'
import { Gate } from '../../gateway/delivery/gate.ts'
import { correctBy } from '../../gateway/delivery/left.ts'
import { answer } from '../helpers/make.ts'

const RUNS = { numRuns: 300 }

const windows = fc.array(fc.record({ max: fc.integer({ min: 1, max: 6 }), perMs: fc.integer({ min: 1, max: 100 }) }), { minLength: 1, maxLength: 3 })

type Command =
  | { do: 'reserve' | 'release' }
  | { do: 'stamp', which: number }
  | { do: 'advance' | 'pause', ms: number }

const commands = fc.array(fc.oneof(
  { weight: 6, arbitrary: fc.constant<Command>({ do: 'reserve' }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('stamp' as const), which: fc.nat(20) }) },
  { weight: 1, arbitrary: fc.constant<Command>({ do: 'release' }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('advance' as const), ms: fc.nat(60) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('pause' as const), ms: fc.nat(60) }) }
), { maxLength: 120 })

interface Call { from: number, to: number }

/** What the gate should know, kept the long way round. */
class Model {
  now = 1000
  pausedUntil = 0
  open: number[] = []
  done: Call[] = []
  readonly gate: Gate
  windows: Window[]

  constructor (windows: Window[]) {
    this.windows = windows
    this.gate = new Gate(windows)
  }

  get room (): number {
    if (this.now < this.pausedUntil) return 0
    const free = this.windows.map(({ max, perMs }) => max - this.open.length - this.done.filter(call => call.to > this.now - perMs).length)
    return Math.max(0, Math.min(...free))
  }

  step (command: Command): void {
    switch (command.do) {
      case 'advance': this.now += command.ms; break
      case 'pause': this.pausedUntil = Math.max(this.pausedUntil, this.now + command.ms); this.gate.pauseUntil(this.now + command.ms); break
      case 'reserve': if (this.gate.reserve(this.now)) this.open.push(this.now); break
      case 'release': if (this.open.pop() !== undefined) this.gate.release(); break
      case 'stamp': this.#stamp(command.which)
    }
  }

  #stamp (which: number): void {
    if (this.open.length === 0) return
    const [from] = this.open.splice(which % this.open.length, 1)
    this.done.push({ from: from as number, to: this.now })
    this.gate.stamp(this.now)
  }

  /** All calls, the open ones answered a moment later. */
  calls (): Call[] { return [...this.done, ...this.open.map(from => ({ from, to: this.now + 1 }))] }
}

/** The most calls that any position of any window holds beyond its max. */
function overCap (arrivals: number[], windows: readonly Window[]): number {
  const sorted = Float64Array.from(arrivals).toSorted()
  let worst = -Infinity
  for (const { max, perMs } of windows) {
    let first = 0
    for (let last = 0; last < sorted.length; last++) {
      while ((sorted[first] as number) <= (sorted[last] as number) - perMs) first++
      worst = Math.max(worst, last - first + 1 - max)
    }
  }
  return worst
}

t.test('A6: no window ever holds more than its max, whenever between reserve and stamp each request arrived', async t => {
  const arrivals = fc.infiniteStream(fc.double({ min: 0, max: 1, noNaN: true }))
  fc.assert(fc.property(windows, commands, arrivals, (windows, commands, random) => {
    const model = new Model(windows)
    for (const command of commands) model.step(command)
    const calls = model.calls()
    const between = (share: () => number) => calls.map(({ from, to }) => from + (to - from) * share())
    const next = () => random.next().value as number
    for (const arrived of [between(() => 0), between(() => 1), between(next), between(() => next() < 0.5 ? 0 : 1)]) {
      if (overCap(arrived, windows) > 0) return false
    }
    return true
  }), RUNS)
  t.pass('none was over')
})

t.test('room is exactly what a count of all places leaves, is never negative, and reserve agrees with it', async t => {
  fc.assert(fc.property(windows, commands, (windows, commands) => {
    const model = new Model(windows)
    for (const command of commands) {
      const before = model.room
      const had = model.open.length
      model.step(command)
      if (command.do === 'reserve' && (model.open.length > had) !== (before > 0)) return false
      if (model.gate.room(model.now) !== model.room) return false
    }
    return true
  }), RUNS)
  t.pass('it always was')
})

t.test('nextRoomAt is the first moment with room', async t => {
  fc.assert(fc.property(windows, commands, (windows, commands) => {
    const model = new Model(windows)
    for (const command of commands) model.step(command)
    const at = model.gate.nextRoomAt(model.now)
    if (model.gate.room(model.now) > 0) return at === model.now
    if (at === Infinity) return windows.some(({ max }) => model.open.length >= max)
    if (model.gate.room(at - 1) !== 0) return false
    // Open places may still stand in the way when counted ones have gone.
    return model.gate.room(at) > 0 || windows.some(({ max }) => model.open.length >= max)
  }), RUNS)
  t.pass('it always was')
})

t.test('of two pauses the later one holds, and nothing passes before its end', async t => {
  const gate = new Gate([{ max: 5, perMs: 10 }])
  gate.pauseUntil(500)
  gate.pauseUntil(200)
  t.equal(gate.room(499), 0)
  t.equal(gate.reserve(499), false)
  t.equal(gate.nextRoomAt(100), 500)
  t.equal(gate.room(500), 5)
})

t.test('a released place counts nowhere, a stamped one from its stamp on', async t => {
  const gate = new Gate([{ max: 1, perMs: 100 }])
  t.equal(gate.reserve(0), true)
  t.equal(gate.reserve(1), false)
  t.equal(gate.nextRoomAt(1), Infinity, 'only an answer can tell')
  gate.release()
  t.equal(gate.reserve(2), true)
  gate.stamp(50)
  t.equal(gate.room(149), 0)
  t.equal(gate.nextRoomAt(60), 150)
  t.equal(gate.room(150), 1)
})

t.test('calls loaded from before count where they were', async t => {
  const gate = new Gate([{ max: 3, perMs: 1000 }, { max: 4, perMs: 10_000 }])
  gate.load([-9500, -500, -400, -300])
  t.equal(gate.room(0), 0)
  t.equal(gate.nextRoomAt(0), 500, 'the short window has room then')
  t.equal(gate.room(500), 1)
  t.equal(gate.reserve(500), true)
  t.equal(gate.room(9499), 0, 'the long one is full now')
})

t.test('other windows see the same history', async t => {
  fc.assert(fc.property(windows, commands, fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 3, maxLength: 3 }), commands, (windows, before, maxima, after) => {
    const model = new Model(windows)
    for (const command of before) model.step(command)
    model.windows = windows.map(({ perMs }, i) => ({ max: maxima[i] as number, perMs }))
    model.gate.resize(model.windows)
    for (const command of after) {
      if (model.gate.room(model.now) !== model.room) return false
      model.step(command)
    }
    return true
  }), RUNS)
  t.pass('they did')
})

t.test('a longer window counts what the shorter one forgot, and nothing twice', async t => {
  const gate = new Gate([{ max: 10, perMs: 100 }])
  for (const at of [10.4, 50.6, 900.7, 950.2]) { gate.reserve(at); gate.stamp(at) }
  // The store's times are whole milliseconds, so the same call may look a moment older there.
  gate.resize([{ max: 10, perMs: 10_000 }], [10, 50, 900, 950])
  t.equal(gate.room(960), 6)
  gate.resize([{ max: 5, perMs: 10_000 }], [9, 49, 899, 949])
  t.equal(gate.room(960), 1)
  gate.resize([{ max: 5, perMs: 100 }])
  t.equal(gate.room(960), 3)
  gate.resize([])
  t.equal(gate.room(960), Infinity)
})

t.test('a window of 3,500 is counted to the last place while its ring grows and wraps', async t => {
  const gate = new Gate([{ max: 3500, perMs: 60_000 }])
  // What is forgotten before the ring first grows leaves its start in the middle.
  gate.load([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
  const stamped: number[] = []
  let counted = 0
  for (let now = 100_000; now < 300_000; now += 7) {
    while ((stamped[counted] as number) <= now - 60_000) counted++
    if (gate.room(now) !== 3500 - (stamped.length - counted)) { t.fail(`at ${now} there was room for ${gate.room(now)}`); break }
    if (!gate.reserve(now)) continue
    gate.stamp(now + 3)
    stamped.push(now + 3)
  }
  t.equal(stamped.length > 3 * 3500, true, 'it was filled more than three times')
})

// ── what the provider says is left ─────────────────────────────────────────────────────────────

t.test('A6: less left than is counted here holds until the reset, and no longer', async t => {
  const gate = new Gate([{ max: 10, perMs: 1000 }, { max: 100, perMs: 60_000 }])
  gate.correct(3, 5000, 0)
  t.equal(gate.room(0), 3)
  for (let i = 0; i < 3; i++) { t.equal(gate.reserve(1), true); gate.stamp(1) }
  t.equal(gate.reserve(2000), false)
  t.equal(gate.nextRoomAt(2000), 5000)
  t.equal(gate.room(4999), 0)
  t.equal(gate.room(5000), 10)
})

t.test('of what is in flight the provider may have counted none; what does not reach it is given back', async t => {
  const gate = new Gate([{ max: 10, perMs: 1000 }])
  for (let i = 0; i < 4; i++) gate.reserve(0)
  gate.stamp(1)
  gate.correct(5, 800, 1)
  t.equal(gate.room(1), 2, 'three are in flight')
  gate.release()
  t.equal(gate.room(1), 3)
  gate.correct(2, 800, 2)
  t.equal(gate.room(2), 0)
})

t.test('a correction never makes room, a shorter one leaves a longer one in force, and nonsense does no harm', async t => {
  const gate = () => new Gate([{ max: 10, perMs: 1000 }, { max: 100, perMs: 60_000 }])
  const rooms = (left: number, resetMs: number) => { const one = gate(); one.correct(left, resetMs, 0); return one.room(0) }
  t.strictSame([[10, 1000], [1e12, 1000], [-1, 1000], [NaN, 1000], [0, NaN], [0, 0], [0, -5]].map(([left, resetMs]) => rooms(left as number, resetMs as number)), [10, 10, 10, 10, 10, 10, 10])
  const capped = gate()
  capped.correct(0, 1e15, 0)
  t.strictSame([capped.room(59_999), capped.room(60_000)], [0, 10], 'no longer than the longest window')
  const both = gate()
  both.correct(5, 30_000, 0)
  both.correct(1, 1000, 0)
  t.strictSame([both.room(0), both.room(1000), both.room(30_000)], [1, 5, 10])
  const none = new Gate([])
  none.correct(0, 1000, 0)
  t.equal(none.room(0), Infinity, 'where no limit is known there is no time for it to last')
  const times = fc.record({ left: fc.integer({ min: -5, max: 20 }), resetMs: fc.integer({ min: -5, max: 200 }), ms: fc.nat(30) })
  fc.assert(fc.property(windows, fc.array(times, { maxLength: 60 }), (windows, told) => {
    const plain = new Gate(windows)
    const corrected = new Gate(windows)
    let now = 1000
    for (const { left, resetMs, ms } of told) {
      now += ms
      corrected.correct(left, resetMs, now)
      const room = corrected.room(now)
      if (room < 0 || room > plain.room(now)) return false
      if (corrected.reserve(now)) { corrected.stamp(now); plain.reserve(now); plain.stamp(now) }
    }
    return corrected.room(now + 200) === plain.room(now + 200)
  }), RUNS)
})

t.test('what headers say is read strictly', async t => {
  const limitHeaders = { remaining: 'ratelimit-remaining', reset: 'ratelimit-reset' }
  const room = (remaining: string | undefined, reset: string | undefined, headers: LimitHeaders | undefined = limitHeaders): number => {
    const gate = new Gate([{ max: 10, perMs: 1000 }])
    correctBy(answer({ headers: { ...(remaining !== undefined && { 'ratelimit-remaining': remaining }), ...(reset !== undefined && { 'ratelimit-reset': reset }) } }), { limitHeaders: headers }, gate, 0)
    return gate.room(0)
  }
  t.strictSame(['3', ' 3 ', '3, 10;w=1', '3;w=1'].map(left => room(left, '1')), [3, 3, 3, 3])
  t.strictSame(['-3', '3.5', '1e1', '0x3', 'three', '', '9'.repeat(30), undefined].map(left => room(left, '1')), Array.from({ length: 8 }, () => 10))
  t.strictSame(['soon', '-1', '', 'Sun, 22 Nov 2026 00:00:00 GMT', undefined].map(reset => room('3', reset)), Array.from({ length: 5 }, () => 10))
  const gate = new Gate([{ max: 10, perMs: 1000 }])
  correctBy(answer({ headers: { 'ratelimit-remaining': '0', 'ratelimit-reset': '1' } }), {}, gate, 0)
  t.equal(gate.room(0), 10, 'nothing is read that the manifest does not name')
})

// ── forecasts ──────────────────────────────────────────────────────────────────────────────────

t.test('a forecast counts what the provider said is left, the time answers take, and how many go at once', async t => {
  const gate = new Gate([{ max: 10, perMs: 1000 }])
  gate.correct(4, 800, 0)
  t.equal(gate.forecastMs(4, 0), 0)
  t.equal(gate.forecastMs(5, 0), 800)
  const idle = new Gate([])
  t.equal(idle.forecastMs(100, 0, { answerMs: 200, places: 4 }), 25 * 200)
  t.equal(idle.forecastMs(1_000_000, 0, { answerMs: 200, places: 4 }), 250_000 * 200)
  t.equal(new Gate([{ max: 1, perMs: 1000 }]).forecastMs(61, 0, { answerMs: 200, places: 4 }), 60 * 1200 + 200, 'a window begins anew when the answer has come')
  t.equal(idle.forecastMs(1, 0, { from: 500 }), 500)
})

t.test('a forecast is within a tenth of what it takes', async t => {
  const history = fc.array(fc.nat(200), { maxLength: 12 })
  fc.assert(fc.property(windows, history, fc.integer({ min: 0, max: 200 }), fc.nat(50), (windows, ages, n, pauseMs) => {
    const now = 1000
    const gate = new Gate(windows)
    gate.load(ages.map(age => now - age).toSorted((a, b) => a - b))
    gate.pauseUntil(now + pauseMs)
    const forecast = gate.forecastMs(n, now)
    let at = now
    for (let i = 0; i < n; i++) {
      while (!gate.reserve(at)) at = gate.nextRoomAt(at)
      gate.stamp(at)
    }
    return Math.abs(forecast - (at - now)) <= (at - now) / 10
  }), RUNS)
  const idle = () => new Gate([{ max: 350, perMs: 1000 }, { max: 3500, perMs: 60_000 }])
  t.equal(idle().forecastMs(350, 0), 0)
  t.equal(idle().forecastMs(3500, 0), 9000)
  t.equal(idle().forecastMs(3501, 0), 60_000)
  t.equal(idle().forecastMs(100_000, 0), 28 * 60_000 + 5000, 'a wave of a hundred thousand')
})

// ── against a provider that counts by arrival ──────────────────────────────────────────────────

const STEADY: Window[] = [{ max: 350, perMs: 1000 }, { max: 3500, perMs: 60_000 }]
const CONCURRENCY = 64
const LATENCY_MS = { least: 20, most: 300 }
const DOWN_MS = 500

/** A generator of numbers from 0 to 1 that a seed repeats. */
function dice (seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}

class Simulation {
  readonly arrivals: number[] = []
  now = 0
  #gate = new Gate(STEADY)
  #settled: number[] = []
  #open: number[] = []
  #random: () => number

  constructor (seed: number) { this.#random = dice(seed) }

  /** Sends as much as the gate lets through, a millisecond at a time. */
  run (untilMs: number): void {
    for (; this.now < untilMs; this.now++) {
      this.#open = this.#open.filter(endsAt => endsAt > this.now || this.#settle())
      while (this.#open.length < CONCURRENCY && this.#gate.reserve(this.now)) this.#send()
    }
  }

  pause (ms: number): void { this.#gate.pauseUntil(this.now + ms) }

  /** What was on the wire ends unheard; the new gate has the settled calls and counts the others as now. */
  restart (): void {
    this.now += DOWN_MS
    this.#gate = new Gate(STEADY)
    this.#gate.load([...this.#settled.filter(at => at > this.now - 60_000), ...this.#open.map(() => this.now)])
    this.#settled.push(...this.#open.map(() => this.now))
    this.#open = []
  }

  #settle (): boolean {
    this.#gate.stamp(this.now)
    this.#settled.push(this.now)
    return false
  }

  #send (): void {
    const took = LATENCY_MS.least + this.#random() * (LATENCY_MS.most - LATENCY_MS.least)
    this.arrivals.push(this.now + took * this.#random())
    this.#open.push(this.now + took)
  }
}

t.test('A6: a provider that counts by arrival refuses nothing, and at least 95 % of its steady window is used', async t => {
  for (const seed of [1, 2, 3]) {
    const simulation = new Simulation(seed)
    simulation.run(250_000)
    t.ok(overCap(simulation.arrivals, STEADY) <= 0, `seed ${seed}: none over`)
    const steady = simulation.arrivals.filter(at => at >= 60_000 && at < 240_000).length
    t.ok(steady >= 0.95 * 3 * 3500, `seed ${seed}: ${steady} of ${3 * 3500}`)
  }
})

t.test('A6: nor does it across a pause and restarts in the middle of a burst', async t => {
  for (const seed of [4, 5, 6, 7]) {
    const random = dice(seed)
    const simulation = new Simulation(seed)
    for (let i = 0; i < 5; i++) {
      simulation.run(simulation.now + random() * 20_000)
      if (i === 2) simulation.pause(5000)
      simulation.restart()
    }
    const restartedAt = simulation.now
    simulation.run(restartedAt + 180_000)
    t.ok(overCap(simulation.arrivals, STEADY) <= 0, `seed ${seed}: none over`)
    const steady = simulation.arrivals.filter(at => at >= restartedAt + 60_000).length
    t.ok(steady >= 0.95 * 2 * 3500, `seed ${seed}: ${steady} of ${2 * 3500}`)
  }
})
