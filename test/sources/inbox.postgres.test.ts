import { onPostgres } from '../helpers/on-postgres.ts'

await onPostgres(() => import('./inbox.test.ts'))
