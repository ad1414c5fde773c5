import { onPostgres } from '../helpers/on-postgres.ts'

await onPostgres(() => import('./settings.test.ts'))
