import { onPostgres } from '../../test/helpers/on-postgres.ts'

await onPostgres(() => import('./paging.test.ts'))
