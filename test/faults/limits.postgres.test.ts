import { onPostgres } from '../helpers/on-postgres.ts'

await onPostgres(() => import('./limits.test.ts'))
