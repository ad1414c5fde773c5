import { onPostgres } from '../helpers/on-postgres.ts'

await onPostgres(() => import('./privacy.test.ts'))
