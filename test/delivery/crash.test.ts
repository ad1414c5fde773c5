// Deliveries whose preparing ends with the process, crash after crash: the guilty ones are found, and no other is blamed.

import t, { type Test } from 'tap'
import { until } from '../helpers/fake-runtime.ts'
import { bodyOf, request, shop } from '../helpers/make.ts'
import { keysOf, world, type World } from './world.ts'

const COUNT = 6
/** Between the death of one process and the start of the next. */
const DOWN_MS = 10_000

/** One process, from its start to its death or its stop. */
interface Life {
  w: World
  /** How many deliveries each claim took. */
  claims: number[]
  /** What it had sent when it died. */
  sent: string[]
  dead: boolean
  /** Sets its clock, which stands otherwise. */
  at (now: number): void
}

interface LifeOptions { guilty: readonly number[], before?: Life, shops?: string[] }

/** The process of `before` is dead, and another one takes up what it left. Preparing a guilty delivery ends it at once. */
async function live (t: Test, { guilty, before, shops = ['a'] }: LifeOptions): Promise<Life> {
  const claims: number[] = []
  const die = (): never => {
    life.sent = keysOf(life.w.server)
    life.dead = true
    throw new Error('the process is dead')
  }
  const w = await world(t, {
    start: false,
    shops: shops.map(id => shop(id)),
    ...(before && { place: await before.w.die(), like: before.w }),
    providers: [{ prepare: (_type, scope) => guilty.includes(scope.data.n as number) ? die() : { ok: true, request: request({ body: bodyOf(scope) }) } }],
    between: store => ({
      async commit (unit) {
        if (life.dead) throw new Error('the dead write nothing')
        const results = await store.commit(unit)
        const taken = results.filter((_, i) => unit[i]?.name === 'claim_deliveries').reduce((n, { rows }) => n + rows.length, 0)
        if (taken > 0) claims.push(taken)
        return results
      }
    })
  })
  const life: Life = { w, claims, sent: [], dead: false, at (now) { w.runtime.now = () => now } }
  life.at(before ? before.w.runtime.now() + DOWN_MS : w.runtime.now())
  return life
}

/** Starts it and waits for its death. */
async function dies (life: Life): Promise<Life> {
  await life.w.start()
  await until('it dies', () => life.dead)
  return life
}

/** Starts it, and moves its clock from one due time to the next until it is dead or nothing is left to do. */
async function goesOn (life: Life): Promise<Life> {
  const { w } = life
  await w.start()
  const open = async () => Number((await w.query('select count(*) as n from deliveries where finished_at is null'))[0]?.n)
  for (let before = await open(); !life.dead && before > 0; before = await open()) {
    const [next] = await w.query('select min(due_at) as at from deliveries where due_at is not null')
    life.at(Math.max(w.runtime.now(), Number(next?.at ?? 0)))
    await until('the next is taken', async () => life.dead || await open() < before)
  }
  return life
}

t.test('what was claimed at two crashes is taken one by one: the third crash rejects the guilty one alone', async t => {
  const guilty = [3]
  const first = await live(t, { guilty })
  const ids = await first.w.accept('a', COUNT)
  await dies(first)
  t.strictSame(first.claims, [COUNT], 'claimed together')
  const second = await dies(await live(t, { guilty, before: first }))
  t.strictSame(second.claims, [COUNT], 'once is chance: together again')

  const third = await goesOn(await live(t, { guilty, before: second }))
  t.strictSame(third.claims, [1, 1, 1], 'apart')
  t.strictSame(third.sent, ids.slice(0, 2))

  const last = await live(t, { guilty, before: third })
  const others = ids.filter((_, i) => i !== 2)
  await goesOn(last)
  t.match(await last.w.becomes(ids[2] as string, 'rejected', 'crashed_gateway'), { owner: null, due_at: null, call_no: 0, claims: 0 })
  t.notOk(last.dead, 'nothing kills it any more')
  t.strictSame([...first.sent, ...second.sent, ...third.sent, ...keysOf(last.w.server)].toSorted(), others.toSorted(), 'and each of the others was sent once')
})

t.test('of several guilty ones each is found in its turn, and none of those that were claimed with them is blamed', async t => {
  const guilty = [2, 5]
  let life = await live(t, { guilty, shops: ['a', 'b'] })
  const ids = [...await life.w.accept('a', 3), ...await life.w.accept('b', 3)]
  const innocent = ids.filter((_, i) => !guilty.includes(i + 1))
  await dies(life)
  const sent: string[] = []
  for (let deaths = 1; life.dead && deaths < 10; deaths++) {
    life = await goesOn(await live(t, { guilty, before: life, shops: ['a', 'b'] }))
    sent.push(...life.dead ? life.sent : keysOf(life.w.server))
  }
  t.notOk(life.dead, 'nothing kills it any more')
  const shown = await Promise.all(ids.map(id => life.w.shown(id)))
  t.strictSame(shown, ids.map((_, i) => guilty.includes(i + 1) ? { state: 'rejected', reason: 'crashed_gateway' } : { state: 'delivered', reason: null }))
  t.strictSame(sent.toSorted(), innocent.toSorted(), 'each of the others was sent once')
})
