import { onPostgres } from '../helpers/on-postgres.ts'

await onPostgres(() => import('./quiet-hours.test.ts'))
