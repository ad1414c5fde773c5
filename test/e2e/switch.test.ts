// Short runs of the campaign `switch`.

import t from 'tap'
import { switchFaults, switchLine, switchToAndFro } from '../campaign/switch.ts'
import { storeOfProcess } from '../helpers/stores.ts'
import { tempDir } from '../helpers/tmp.ts'

for (const [name, how] of Object.entries({
  'B3: a shop that switches while events flow: none reaches both providers, none is lost, none is left open': { cutShare: 0, uncertain: 'park' as const },
  'B3: with 5 % of the answers cut what was tried stays unknown at its provider, and never goes to the other unasked': { cutShare: 0.05, uncertain: 'park' as const }
})) {
  t.test(name, async t => {
    const report = await switchToAndFro({ dir: tempDir(t), seed: 3, forMs: 4000, ...how, on: await storeOfProcess(t) })
    t.comment(switchLine(report))
    t.strictSame(switchFaults(report, how), [])
  })
}
