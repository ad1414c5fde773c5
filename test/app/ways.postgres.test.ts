import { onPostgres } from '../helpers/on-postgres.ts'

await onPostgres(() => import('./ways.test.ts'))
