import { onPostgres } from '../helpers/on-postgres.ts'

await onPostgres(() => import('./carrier.test.ts'))
