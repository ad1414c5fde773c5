import { onPostgres } from '../../../test/helpers/on-postgres.ts'

await onPostgres(() => import('./import.test.ts'))
