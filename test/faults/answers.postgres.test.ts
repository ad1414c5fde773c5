import { onPostgres } from '../helpers/on-postgres.ts'

await onPostgres(() => import('./answers.test.ts'))
