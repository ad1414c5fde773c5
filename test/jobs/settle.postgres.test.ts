import { onPostgres } from '../helpers/on-postgres.ts'

await onPostgres(() => import('./settle.test.ts'))
