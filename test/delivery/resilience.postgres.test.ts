import { onPostgres } from '../helpers/on-postgres.ts'

await onPostgres(() => import('./resilience.test.ts'))
