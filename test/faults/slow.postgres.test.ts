import { onPostgres } from '../helpers/on-postgres.ts'

await onPostgres(() => import('./slow.test.ts'))
