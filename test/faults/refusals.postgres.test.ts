import { onPostgres } from '../helpers/on-postgres.ts'

await onPostgres(() => import('./refusals.test.ts'))
