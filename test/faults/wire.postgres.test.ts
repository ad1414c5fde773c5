import { onPostgres } from '../helpers/on-postgres.ts'

await onPostgres(() => import('./wire.test.ts'))
