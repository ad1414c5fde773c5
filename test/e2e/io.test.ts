// R6 in short. The campaign has all shares and many calls.

import t, { type Test } from 'tap'
import { type DiskFault, failDisk } from '../campaign/io.ts'
import { lineOf } from '../campaign/trial.ts'
import { hasLibfiu } from '../helpers/libfiu.ts'
import { hasStrace } from '../helpers/strace.ts'
import { tempDir } from '../helpers/tmp.ts'

async function judged (t: Test, seed: number, faults: DiskFault[]): Promise<void> {
  const { allowed, seen, ...verdict } = await failDisk({ dir: tempDir(t), seed, faults })
  t.comment(lineOf(verdict))
  t.strictSame(seen, { stopped: faults.length, refused: 0, untold: 0 }, 'each process took nothing more, and said so')
  t.strictSame(verdict.wrong, [])
  t.ok(verdict.uncertain <= allowed, 'no more are uncertain than were in flight')
}

t.test('R6: after one failed fsync or write nothing is promised or sent, and the next process has all that was promised before', { skip: hasStrace ? false : 'strace is missing, or may not trace' }, async t => {
  await judged(t, 1, [{ call: 'fsync', nth: 40 }, { call: 'pwrite', nth: 90 }])
})

t.test('R6: the same where a share of them fails', { skip: hasLibfiu ? false : 'libfiu (fiu-utils) is missing' }, async t => {
  await judged(t, 2, [{ call: 'fsync', share: 0.05 }])
})
