import { onPostgres } from '../helpers/on-postgres.ts'

await onPostgres(() => import('./opt-outs.test.ts'))
