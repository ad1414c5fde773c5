import { onPostgres } from '../helpers/on-postgres.ts'

await onPostgres(() => import('./setup-bounds.test.ts'))
