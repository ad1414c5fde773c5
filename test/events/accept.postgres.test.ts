import { onPostgres } from '../helpers/on-postgres.ts'

await onPostgres(() => import('./accept.test.ts'))
