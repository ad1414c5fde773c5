import { onPostgres } from '../helpers/on-postgres.ts'

await onPostgres(() => import('./subscribers.test.ts'))
