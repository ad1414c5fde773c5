import { onPostgres } from '../helpers/on-postgres.ts'

await onPostgres(() => import('./names.test.ts'))
