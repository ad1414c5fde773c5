import { onPostgres } from '../helpers/on-postgres.ts'

await onPostgres(() => import('./clock.test.ts'))
