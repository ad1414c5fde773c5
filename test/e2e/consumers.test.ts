// Short runs of the campaign on stores that share the jobs of a database: R27 of the fault list, on every commit.

import t from 'tap'
import { consumersFaults, consumersLine, produceAndConsume } from '../campaign/consumers.ts'
import { database, haveNoPostgres } from '../helpers/postgres.ts'

for (const seed of [1, 2]) {
  t.test(`of twenty producers' jobs each is done once by one of twenty consumers, seed ${seed} (R27)`, { skip: haveNoPostgres }, async t => {
    const report = await produceAndConsume({ url: await database(t), seed, jobs: 1000 })
    t.comment(consumersLine(report))
    t.strictSame(consumersFaults(report), [])
  })
}
