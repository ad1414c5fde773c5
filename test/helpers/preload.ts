// A large backlog without the time it takes to post it: rows like those of an event that was accepted, written beside a
// gateway that is stopped.

import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { Client } from 'pg'
import type { Place } from './stores.ts'

/** Where a world's process keeps its data: the folder of its file, or a URL. */
export function placeOf ({ dir, start }: { dir: string, start?: { env?: Record<string, string | undefined> } }): Place {
  return start?.env?.DATABASE_URL ?? join(dir, 'gateway.db')
}

/** So many more deliveries as that of the event `like`, all waiting and due; their events' ids are `prefix` and a number from 1. */
export async function preload (place: Place, { like, prefix, count }: { like: string, prefix: string, count: number }): Promise<void> {
  const postgres = place.startsWith('postgres')
  const numbers = postgres ? `generate_series(1, ${count}) as row (n)` : `(with recursive row (n) as (select 1 union all select n + 1 from row where n < ${count}) select n from row)`
  const [{ event, delivery }] = await run(place, 'select coalesce((select max(event_key) from events), 0) as event, coalesce((select max(delivery_key) from deliveries), 0) as delivery') as [{ event: number, delivery: number }]
  // Far below what a gateway gives out by then, where it takes its keys in blocks.
  await run(place, `insert into events (event_key, id, shop_key, source, source_id, type, time_at, received_at, person, data)
    select ${event} + n, 'evt_${prefix}' || n, shop_key, source, '${prefix}' || n, type, time_at, received_at, person, replace(data, '"${like}"', '"${prefix}' || n || '"')
    from ${numbers} cross join (select * from events where source_id = '${like}') as event`)
  await run(place, `insert into deliveries (delivery_key, id, event_key, queue_key, state, priority, due_at, expires_at, created_at)
    select ${delivery} + n, 'dlv_${prefix}' || n, ${event} + n, queue_key, 1, d.priority, d.created_at, d.expires_at, d.created_at
    from ${numbers} cross join (select d.* from deliveries d join events e on e.event_key = d.event_key where e.source_id = '${like}') as d`)
  await run(place, `update queues set ready = 1 where queue_key in (select d.queue_key from deliveries d join events e on e.event_key = d.event_key where e.source_id = '${like}')`)
  if (!postgres) return
  for (const [table, first] of [['events', event], ['deliveries', delivery]] as const) await run(place, `select setval('next_${table}', ${Number(first) + count + 100_000})`)
  await run(place, 'vacuum analyze')
}

async function run (place: Place, sql: string): Promise<object[]> {
  if (!place.startsWith('postgres')) {
    const db = new DatabaseSync(place)
    try {
      return db.prepare(sql).all()
    } finally {
      db.close()
    }
  }
  const client = new Client({ connectionString: place })
  await client.connect()
  try {
    return (await client.query(sql)).rows as object[]
  } finally {
    await client.end()
  }
}
