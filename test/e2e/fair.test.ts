import t from 'tap'
import { shareAnAccount } from '../campaign/fair.ts'
import { storeOfProcess } from '../helpers/stores.ts'
import { tempDir } from '../helpers/tmp.ts'

t.test('on one account a transactional event passes 10,000 marketing ones, and a small shop does not wait for a large one', async t => {
  const { cAfter, bAfter, sent } = await shareAnAccount(tempDir(t), await storeOfProcess(t))
  t.comment(JSON.stringify({ cAfter, bAfter, sent }))
  t.ok(cAfter <= 2, `the transactional event was send number ${cAfter} after it was accepted`)
  t.ok(bAfter <= 250, `the small shop's 100 were out after ${bAfter} sends`)
})
