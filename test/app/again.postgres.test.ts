import { onPostgres } from '../helpers/on-postgres.ts'

await onPostgres(() => import('./again.test.ts'))
