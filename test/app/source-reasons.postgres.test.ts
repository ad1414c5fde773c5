import { onPostgres } from '../helpers/on-postgres.ts'

await onPostgres(() => import('./source-reasons.test.ts'))
