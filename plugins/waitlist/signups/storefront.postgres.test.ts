import { onPostgres } from '../../../test/helpers/on-postgres.ts'

await onPostgres(() => import('./storefront.test.ts'))
