// Bodies spoilt at random, the same way for the same seed.

/** mulberry32, 0 ≤ x < 1. */
export function seeded (seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6D2B79F5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}

type Parent = Record<string, unknown>
type Change = (parent: Parent, key: string) => void

const CHANGES: Record<string, Change> = {
  remove: (parent, key) => { delete parent[key] },
  rename: (parent, key) => {
    parent[`${key}_x`] = parent[key]
    delete parent[key]
  },
  null: (parent, key) => { parent[key] = null },
  number: (parent, key) => { parent[key] = 7 },
  text: (parent, key) => { parent[key] = 'text' },
  flag: (parent, key) => { parent[key] = true },
  list: (parent, key) => { parent[key] = [parent[key]] },
  empty: (parent, key) => { parent[key] = {} }
}

/** A copy of a JSON object with one key, at any depth, changed in one of eight ways. */
export function mutate (value: object, random: () => number): { value: unknown, what: string } {
  const copy = structuredClone(value) as Parent
  const places = keys(copy, '')
  const { parent, key, pointer } = places[Math.floor(random() * places.length)] as ReturnType<typeof keys>[number]
  const names = Object.keys(CHANGES)
  const name = names[Math.floor(random() * names.length)] as string
  ;(CHANGES[name] as Change)(parent, key)
  return { value: copy, what: `${name} ${pointer}` }
}

function keys (value: Parent, pointer: string): Array<{ parent: Parent, key: string, pointer: string }> {
  return Object.entries(value).flatMap(([key, child]) => {
    const here = { parent: value, key, pointer: `${pointer}/${key}` }
    return [here].concat(child !== null && typeof child === 'object' ? keys(child as Parent, here.pointer) : [])
  })
}
