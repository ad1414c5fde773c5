import { onPostgres } from '../helpers/on-postgres.ts'

await onPostgres(() => import('./opted-out.test.ts'))
