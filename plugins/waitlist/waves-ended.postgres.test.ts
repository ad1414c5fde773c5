import { onPostgres } from '../../test/helpers/on-postgres.ts'

await onPostgres(() => import('./waves-ended.test.ts'))
