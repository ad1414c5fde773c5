import { onPostgres } from '../helpers/on-postgres.ts'

await onPostgres(() => import('./events.test.ts'))
