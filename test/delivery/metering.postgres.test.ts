import { onPostgres } from '../helpers/on-postgres.ts'

await onPostgres(() => import('./metering.test.ts'))
