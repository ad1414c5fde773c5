import { onPostgres } from '../helpers/on-postgres.ts'

await onPostgres(() => import('./webhooks-calls.test.ts'))
