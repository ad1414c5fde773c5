import { onPostgres } from '../helpers/on-postgres.ts'

await onPostgres(() => import('./forecast.test.ts'))
