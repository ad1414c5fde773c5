import { onPostgres } from '../helpers/on-postgres.ts'

await onPostgres(() => import('./overload.test.ts'))
