import { onPostgres } from '../helpers/on-postgres.ts'

await onPostgres(() => import('./windows.test.ts'))
