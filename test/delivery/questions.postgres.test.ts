import { onPostgres } from '../helpers/on-postgres.ts'

await onPostgres(() => import('./questions.test.ts'))
