import { onPostgres } from '../helpers/on-postgres.ts'

await onPostgres(() => import('./health.test.ts'))
