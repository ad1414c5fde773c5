import { onPostgres } from '../helpers/on-postgres.ts'

await onPostgres(() => import('./platform.test.ts'))
