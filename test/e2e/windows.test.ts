import t from 'tap'
import { BURST, fillWindows, STEADY } from '../campaign/windows.ts'
import { storeKind, storeOfProcess } from '../helpers/stores.ts'
import { tempDir } from '../helpers/tmp.ts'

t.test('two windows hold at once and are used in full, through a kill at 90 % of the steady one and a pause', async t => {
  const { limited, used, most, ...run } = await fillWindows({ dir: tempDir(t), seed: 3, before: 1, after: 1, on: await storeOfProcess(t) })
  t.comment(JSON.stringify({ ...run, used, most }))
  t.equal(limited, 0, 'the provider refused nothing')
  t.ok(most.burst <= BURST.max && most.steady <= STEADY.max, 'no window was overfilled')
  t.ok(used.before >= (storeKind === 'sqlite' ? 0.95 : 0.5), // a kill costs the rest of a lease
     `before the pause ${Math.round(used.before * 100)} % was used`)
  t.ok(used.after >= 0.95, `after the pause ${Math.round(used.after * 100)} % was used`)
})
