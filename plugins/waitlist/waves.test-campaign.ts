// Waves against kills at random moments, at full length.

import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { Client } from 'pg'
import type { Row } from '../../gateway/contract.ts'
import type { Brought } from '../../test/campaign/brought.ts'
import { killWaves } from './waves-killed.test-world.ts'

async function ask (dir: string, url: string | undefined, text: string): Promise<Row[]> {
  if (url !== undefined) {
    const client = new Client({ connectionString: url })
    await client.connect()
    const { rows } = await client.query<Row>(text)
    await client.end()
    return rows
  }
  const db = new DatabaseSync(join(dir, 'gateway.db'), { timeout: 5000 })
  try {
    return db.prepare(text).all().map(row => ({ ...row })) as Row[]
  } finally {
    db.close()
  }
}

export const trial: Brought = {
  name: 'waves, killed',
  async run ({ dir, seed, kills, on }) {
    const url = on?.start?.env?.['DATABASE_URL']
    const { kills: killed, wrong } = await killWaves({ dir, seed, kills, many: 3000, batched: 1000, sql: text => ask(dir, url, text), on })
    return { ok: wrong.length === 0 && killed === 2 * kills, line: `seed ${seed}, ${killed} kills, 1000 wait for 7 and then 7, 3000 for enough; wrong ${wrong.length === 0 ? 0 : wrong.join('; ')}` }
  }
}
