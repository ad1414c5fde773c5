import { onPostgres } from '../helpers/on-postgres.ts'

await onPostgres(() => import('./deliver.test.ts'))
