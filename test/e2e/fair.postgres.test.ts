import { onPostgres } from '../helpers/on-postgres.ts'

await onPostgres(() => import('./fair.test.ts'))
