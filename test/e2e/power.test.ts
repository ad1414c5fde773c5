// R3 in short. The campaign cuts fifty times.

import t from 'tap'
import { cutPower } from '../campaign/power.ts'
import { lineOf } from '../campaign/trial.ts'
import { whyNoPowerDisk } from '../helpers/power-disk.ts'
import { tempDir } from '../helpers/tmp.ts'

const why = whyNoPowerDisk()
const skip = why === null ? false : `the power of a disk cannot be cut here: ${why}`

t.test('R3: when the power is cut nothing that was answered 202 is lost', { skip }, async t => {
  const { allowed, ...verdict } = await cutPower({ dir: tempDir(t), seed: 1, cuts: 2 })
  t.comment(lineOf(verdict))
  t.ok(verdict.accepted > 500, 'there was load')
  t.strictSame(verdict.wrong, [])
  t.ok(verdict.uncertain <= allowed, 'no more are uncertain than were in flight')
})

t.test('R3: the cut is a real one: a gateway that does not sync loses what it promised', { skip }, async t => {
  const { lost } = await cutPower({ dir: tempDir(t), seed: 2, cuts: 1, careless: true })
  t.ok(lost.length > 0)
})
