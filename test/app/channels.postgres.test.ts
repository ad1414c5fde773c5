import { onPostgres } from '../helpers/on-postgres.ts'

await onPostgres(() => import('./channels.test.ts'))
