import { onPostgres } from '../helpers/on-postgres.ts'

await onPostgres(() => import('./webhooks.test.ts'))
