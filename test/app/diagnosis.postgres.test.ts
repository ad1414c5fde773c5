import { onPostgres } from '../helpers/on-postgres.ts'

await onPostgres(() => import('./diagnosis.test.ts'))
