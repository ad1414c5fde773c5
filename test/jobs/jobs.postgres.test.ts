import { onPostgres } from '../helpers/on-postgres.ts'

await onPostgres(() => import('./jobs.test.ts'))
