import { onPostgres } from '../../test/helpers/on-postgres.ts'

await onPostgres(() => import('./gateway.test.ts'))
