import { onPostgres } from '../helpers/on-postgres.ts'

await onPostgres(() => import('./shops.test.ts'))
