import { onPostgres } from '../helpers/on-postgres.ts'

await onPostgres(() => import('./reload.test.ts'))
