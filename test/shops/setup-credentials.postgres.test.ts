import { onPostgres } from '../helpers/on-postgres.ts'

await onPostgres(() => import('./setup-credentials.test.ts'))
