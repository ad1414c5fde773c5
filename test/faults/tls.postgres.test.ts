import { onPostgres } from '../helpers/on-postgres.ts'

await onPostgres(() => import('./tls.test.ts'))
