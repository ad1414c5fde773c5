import { onPostgres } from '../helpers/on-postgres.ts'

await onPostgres(() => import('./job.test.ts'))
