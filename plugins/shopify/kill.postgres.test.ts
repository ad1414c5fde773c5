import { onPostgres } from '../../test/helpers/on-postgres.ts'

await onPostgres(() => import('./kill.test.ts'))
