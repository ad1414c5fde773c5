import { onPostgres } from '../helpers/on-postgres.ts'

await onPostgres(() => import('./setup-task.test.ts'))
