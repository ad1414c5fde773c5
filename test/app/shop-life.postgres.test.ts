import { onPostgres } from '../helpers/on-postgres.ts'

await onPostgres(() => import('./shop-life.test.ts'))
