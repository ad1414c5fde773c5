import { onPostgres } from '../helpers/on-postgres.ts'

await onPostgres(() => import('./owner.test.ts'))
