import { onPostgres } from '../helpers/on-postgres.ts'

await onPostgres(() => import('./look-up.test.ts'))
