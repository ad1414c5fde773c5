import { onPostgres } from '../../test/helpers/on-postgres.ts'

await onPostgres(() => import('./automatic-lost.test.ts'))
