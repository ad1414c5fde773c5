// Whoever does things to the gateways: clients that post, persons that switch and retry, and all that goes wrong.

import { setTimeout as wait } from 'node:timers/promises'
import { SOUND, type Losses } from './database.ts'
import { accountOf, SHOPS, type VirtualGateway } from './gateway.ts'
import { WELL, type Mood, type VirtualProvider } from './provider.ts'
import type { World } from './run.ts'

const BAD_LOSSES: Losses[] = [
  { ...SOUND, fails: 0.3 },
  { ...SOUND, unsure: 0.3 },
  { ...SOUND, late: 0.3 },
  { ...SOUND, readFails: 0.2 },
  { ...SOUND, slowMs: 400 },
  { fails: 1, unsure: 0, late: 0, readFails: 1, slowMs: 2 },
  { fails: 0.1, unsure: 0.1, late: 0.1, readFails: 0.1, slowMs: 100 }
]
const BAD_MOODS: Mood[] = [
  { ...WELL, failing: 0.5 },
  { ...WELL, failing: 1 },
  { ...WELL, limited: 0.4 },
  { ...WELL, refused: 0.3 },
  { ...WELL, lostBefore: 0.5 },
  { ...WELL, lostAfter: 0.5 },
  { ...WELL, notConnected: 0.7 },
  { ...WELL, slowMs: 2500 },
  { failing: 0.1, limited: 0.1, refused: 0.05, lostBefore: 0.1, lostAfter: 0.1, notConnected: 0.1, slowMs: 1500 }
]
const CLOCK_STEPS_MS = [-600_000, -60_000, -3000, 1000, 3000, 60_000, 600_000]

export class Nemesis {
  #world: World
  #endsAt = 0
  #n = 0
  #busy = 0
  #over = false

  constructor (world: World) { this.#world = world }

  /** No more is done. */
  get over (): boolean { return this.#over }
  /** And nobody waits for an answer. */
  get idle (): boolean { return this.#over && this.#busy === 0 }

  start (endsAt: number): void {
    this.#endsAt = endsAt
    this.#keep(() => this.#post(), 800)
    this.#keep(() => this.#spoil(), 5000)
    this.#keep(() => this.#person(), 8000)
  }

  /** All runs again, and works. */
  async heal (): Promise<void> {
    const { gateways, providers, db } = this.#world
    this.#over = true
    for (const provider of providers) { provider.mood = WELL; provider.locked.clear() }
    for (const store of db.stores) store.losses = SOUND
    for (const [at, gateway] of gateways.entries()) {
      if (gateway === null || gateway.process.dead) void this.#world.boot(at)
      else if (gateway.process.paused) gateway.process.resume()
    }
    void this.#working(async () => { for (const shop of SHOPS) await this.#insist(gateway => gateway.setActive(shop, true)) })
  }

  #keep (act: () => void, meanMs: number): void {
    this.#world.time.after(Math.ceil(-Math.log(1 - this.#world.random()) * meanMs), () => {
      if (this.#world.time.now > this.#endsAt || this.#over) { this.#over = true; return }
      act()
      this.#keep(act, meanMs)
    })
  }

  #pick<T> (among: readonly T[]): T { return among[Math.floor(this.#world.random() * among.length)] as T }

  #count (fault: string): void {
    this.#world.faults[fault] = (this.#world.faults[fault] ?? 0) + 1
    this.#world.tell(fault)
  }

  // ── clients ──

  /** Some events, posted until they are answered; now and then at two gateways at once, or once more later. */
  #post (): void {
    const { random } = this.#world
    const items = Array.from({ length: 1 + Math.floor(random() * 5) }, () => ({ id: `e${++this.#n}`, type: this.#pick(['thing.happened', 'thing.happened', 'thing.urgent']), shop: random() < 0.5 ? 'a' : this.#pick(SHOPS), data: { n: this.#n } }))
    void this.#working(() => this.#posted(items))
    if (random() < 0.1) void this.#working(() => this.#posted(items))
    if (random() < 0.1) void this.#working(async () => { await wait(random() * 20_000); await this.#posted(items) })
  }

  async #posted (items: readonly object[]): Promise<void> {
    await this.#insist(async gateway => {
      for (const receipt of await gateway.accept(items)) {
        const { id, deliveries: [delivery], status } = receipt
        if (id === null || !delivery) { this.#world.db.wrong.push(`${JSON.stringify(receipt)} was answered`); continue }
        const before = this.#world.accepted.get(id)
        if (before !== undefined && before !== delivery.id) this.#world.db.wrong.push(`${id} is ${before} and ${delivery.id}`)
        if (status !== 'refused') this.#world.accepted.set(id, delivery.id)
      }
    })
  }

  async #working (task: () => Promise<void>): Promise<void> {
    this.#busy++
    await task().finally(() => { this.#busy-- })
  }

  /** At one gateway or another, until one has done it. A dead one never answers. */
  async #insist (task: (gateway: VirtualGateway) => Promise<unknown>): Promise<void> {
    for (;;) {
      const up = this.#up()
      const done = up.length > 0 && await Promise.race([task(this.#pick(up)).then(() => true, () => false), wait(5000).then(() => false)])
      if (done) return
      await wait(1000)
    }
  }

  #up (): VirtualGateway[] { return this.#world.gateways.filter((gateway): gateway is VirtualGateway => gateway !== null && gateway.up && !gateway.process.paused) }

  // ── persons ──

  #person (): void {
    const { providers, db, random } = this.#world
    const up = this.#up()
    if (up.length === 0) return
    const [gateway, shop, { provider }] = [this.#pick(up), this.#pick(SHOPS), this.#pick(providers)]
    const [row] = db.query(`select * from deliveries where finished_at is not null and state <> 3 order by (delivery_key * ${1 + Math.floor(random() * 97)}) % 89 limit 1`)
    const actions: Record<string, () => Promise<unknown>> = {
      switch: () => gateway.switchTo(shop, provider.id),
      'take a shop out': () => gateway.setActive(shop, false),
      'take a shop in': () => gateway.setActive(shop, true),
      'connect again': () => gateway.connectAgain(shop, provider),
      retry: async () => {
        if (!row) return
        const unknown = random() < 0.5
        if (unknown) this.#forgive(String(row.id))
        for (const { remade } of this.#world.providers) remade.add(String(row.id))
        await gateway.retry(row, unknown)
      },
      'send again': async () => { if (row) await gateway.sendAgain(String(row.id)) }
    }
    const name = this.#pick(Object.keys(actions))
    this.#count(`a person: ${name}`)
    void actions[name]?.().catch(() => {})
  }

  #forgive (id: string): void { for (const provider of this.#world.providers) provider.forgiven.add(id) }

  // ── faults ──

  #spoil (): void {
    const { gateways, providers, random, time } = this.#world
    const at = Math.floor(random() * gateways.length)
    const gateway = gateways[at]
    const provider = this.#pick(providers)
    const running = gateway?.up && !gateway.process.paused ? gateway : null
    const faults: Record<string, () => void> = {
      kill: () => { if (gateway) this.#kill(gateway, at) },
      pause: () => { if (running) this.#pause(running) },
      stop: () => { if (running) void this.#stop(running, at) },
      database: () => { if (gateway) this.#lose(gateway) },
      clock: () => { this.#step() },
      provider: () => { this.#mood(provider) },
      credentials: () => {
        const account = accountOf(this.#pick(SHOPS))
        provider.locked.add(account)
        time.after(random() * 120_000, () => { provider.locked.delete(account) })
      }
    }
    const name = this.#pick(['provider', 'provider', 'provider', 'database', 'database', 'kill', 'kill', 'pause', 'stop', 'clock', 'credentials'])
    this.#count(`${name}${['kill', 'pause', 'stop', 'database'].includes(name) ? ` ${at}` : ''}`)
    faults[name]?.()
  }

  #step (): void {
    const { db, providers } = this.#world
    const ms = this.#pick(CLOCK_STEPS_MS)
    db.offMs += ms
    if (ms > 0) for (const provider of providers) provider.clockSetAhead()
  }

  #kill (gateway: VirtualGateway, at: number): void {
    const { gateways, time, random } = this.#world
    gateway.kill()
    gateways[at] = null
    time.after(random() * 30_000, () => { if (!this.#over && gateways[at] === null) void this.#world.boot(at) })
  }

  /** For longer than its lease, now and then. */
  #pause (gateway: VirtualGateway): void {
    gateway.process.pause()
    this.#world.time.after(this.#world.random() * 15_000, () => { gateway.process.resume() })
  }

  async #stop (gateway: VirtualGateway, at: number): Promise<void> {
    const { gateways } = this.#world
    await Promise.race([gateway.stop().catch(() => {}), wait(10_000)])
    gateway.kill()
    if (gateways[at] === gateway && !this.#over) void this.#world.boot(at)
  }

  #lose (gateway: VirtualGateway): void {
    gateway.store.losses = this.#pick(BAD_LOSSES)
    this.#world.time.after(this.#world.random() * 20_000, () => { gateway.store.losses = SOUND })
  }

  #mood (provider: VirtualProvider): void {
    provider.mood = this.#pick(BAD_MOODS)
    this.#world.time.after(this.#world.random() * 60_000, () => { provider.mood = WELL })
  }
}
