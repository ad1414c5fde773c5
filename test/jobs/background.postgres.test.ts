import { onPostgres } from '../helpers/on-postgres.ts'

await onPostgres(() => import('./background.test.ts'))
