import { onPostgres } from '../helpers/on-postgres.ts'

await onPostgres(() => import('./backlog.test.ts'))
