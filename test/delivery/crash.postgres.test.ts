import { onPostgres } from '../helpers/on-postgres.ts'

await onPostgres(() => import('./crash.test.ts'))
