import { onPostgres } from '../helpers/on-postgres.ts'

await onPostgres(() => import('./stop.test.ts'))
