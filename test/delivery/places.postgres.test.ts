import { onPostgres } from '../helpers/on-postgres.ts'

await onPostgres(() => import('./places.test.ts'))
