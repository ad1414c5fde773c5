import { onPostgres } from '../helpers/on-postgres.ts'

await onPostgres(() => import('./life.test.ts'))
