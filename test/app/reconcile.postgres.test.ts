import { onPostgres } from '../helpers/on-postgres.ts'

await onPostgres(() => import('./reconcile.test.ts'))
