import { onPostgres } from '../helpers/on-postgres.ts'

await onPostgres(() => import('./adjust.test.ts'))
