import { onPostgres } from '../helpers/on-postgres.ts'

await onPostgres(() => import('./oauth-ending.test.ts'))
