// Steps of kind `task` in a manifest, and the code that must be there for them.

import { join } from 'node:path'
import t from 'tap'
import { defineProvider } from '../../gateway/define.ts'
import { entry, load, ROOT, writeFolder } from '../helpers/providers.ts'
import { THIRD, THIRD_ID } from '../helpers/third-provider.ts'

const STEP = '  - { id: made, kind: task, per: setup_group, title: Made, text: We make it. }\n'
const TASK = '{ phases: [{ id: a, title: A }], run: async () => ({ is: "done", links: [] }) }'.replaceAll(/: (a|A)(?= |,)/g, ': "$1"')

function folder (dir: string, step: string, tasks: string | null): Parameters<typeof load>[0] {
  const manifest = `${THIRD['provider.yaml'].trimEnd()}\n${step}`
  const code = tasks === null ? {} : { 'index.ts': `import { defineProvider } from '${join(ROOT, 'gateway/define.ts')}'\nexport default defineProvider({ id: '${THIRD_ID}', tasks: ${tasks} })\n` }
  return [entry(THIRD_ID, writeFolder(dir, { ...THIRD, 'provider.yaml': manifest, ...code }))]
}

t.test('a step of kind task needs code of its name, and is done for each set-up group', async t => {
  const cases: Array<[string, string, string | null, string | null, string]> = [
    ['its code is there', STEP, `{ made: ${TASK} }`, null, ''],
    ['no code at all', STEP, null, 'GW_PROVIDER_CODE', 'index.ts has no task "made"'],
    ['code of another name', STEP, `{ mad: ${TASK} }`, 'GW_PROVIDER_CODE', 'index.ts has no task "made"'],
    ['done once', STEP.replace('per: setup_group, ', ''), `{ made: ${TASK} }`, 'GW_CONFIG_VALUE', 'a task is done for each set-up group'],
    ['no run', STEP, '{ made: { phases: [{ id: "a", title: "A" }] } }', 'GW_PROVIDER_CODE', 'index.ts does not load']
  ]
  for (const [i, [name, step, tasks, code, message]] of cases.entries()) {
    const { faults } = await load(folder(join(t.testdir(), String(i)), step, tasks))
    t.strictSame(faults.map(fault => fault.code), code === null ? [] : [code], name)
    for (const fault of faults) {
      t.ok(fault.message.startsWith(message), `${name}: ${fault.message}`)
      t.ok(fault.fix.length > 10 && fault.place.line > 0, name)
    }
  }
})

t.test('tasks must have phases and a run, else defineProvider says so', async t => {
  const run = async () => ({ is: 'done', links: [] })
  const phases = [{ id: 'a', title: 'A' }]
  t.doesNotThrow(() => defineProvider({ id: 'a', tasks: { made: { phases, run, check: run } } } as never))
  for (const wrong of [null, 5, { made: null }, { made: { run } }, { made: { phases: [], run } }, { made: { phases: [{ id: 'a' }], run } }, { made: { phases } }, { made: { phases, run, check: 5 } }]) {
    t.throws(() => defineProvider({ id: 'a', tasks: wrong } as never), { code: 'GW_PROVIDER_CODE', message: /tasks/ })
  }
})
