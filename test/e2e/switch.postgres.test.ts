import { onPostgres } from '../helpers/on-postgres.ts'

await onPostgres(() => import('./switch.test.ts'))
