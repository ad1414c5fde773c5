import { onPostgres } from '../helpers/on-postgres.ts'

await onPostgres(() => import('./audit.test.ts'))
