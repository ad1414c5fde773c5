import { onPostgres } from '../../test/helpers/on-postgres.ts'

await onPostgres(() => import('./erased.test.ts'))
