// What a file's twin says: the same tests once more, on PostgreSQL.

import t from 'tap'
import { haveNoPostgres } from './postgres.ts'

process.env.TEST_STORE = 'postgres'

/** Runs another test file on PostgreSQL; where there is none it is skipped aloud, and fails on CI. */
export async function onPostgres (file: () => Promise<unknown>): Promise<void> {
  if (haveNoPostgres) t.test('on PostgreSQL', { skip: haveNoPostgres }, async () => {})
  else await file()
}
