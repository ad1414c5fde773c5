import { onPostgres } from '../helpers/on-postgres.ts'

await onPostgres(() => import('./refresh.test.ts'))
