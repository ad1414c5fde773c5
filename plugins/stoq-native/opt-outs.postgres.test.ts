import { onPostgres } from '../../test/helpers/on-postgres.ts'

await onPostgres(() => import('./opt-outs.test.ts'))
