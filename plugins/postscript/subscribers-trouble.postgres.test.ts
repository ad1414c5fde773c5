import { onPostgres } from '../../test/helpers/on-postgres.ts'

await onPostgres(() => import('./subscribers-trouble.test.ts'))
