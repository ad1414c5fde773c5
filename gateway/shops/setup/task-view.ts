// How a task is shown: while it goes on, when it has failed, and when it is done.

import type { Provider, SetupStep } from '../../contract.ts'
import { sentence } from '../../reasons.ts'
import type { Item } from './progress.ts'
import type { Shown, TaskRow } from './task-rows.ts'

type Choice = SetupStep['choices'][number]

/** `progress` while it goes on; `links` and `banner` of what is done; `made`: what is there already of what failed. */
export function taskView (step: SetupStep, { state, row }: Item, provider: Provider, task: TaskRow | undefined): object {
  const { found } = row
  return {
    progress: state === 'running' ? progressOf(step, provider, task?.shown ?? {}) : null,
    banner: state === 'done' ? found['text'] ?? null : null,
    links: state === 'done' ? found['links'] ?? [] : [],
    made: state === 'failed' ? found['made'] ?? [] : []
  }
}

function progressOf (step: SetupStep, provider: Provider, { phase, done = 0, of = 0, waiting }: Shown): object {
  const phases = provider.code.tasks?.[step.id]?.phases ?? []
  const now = Math.max(0, phases.findIndex(({ id }) => id === phase))
  const count = of > 1 ? ` (${Math.min(done + 1, of)} of ${of})` : ''
  return {
    text: `${phases[now]?.title ?? step.title}${count}`,
    phases: phases.map(({ id, title }, i) => ({ id, title, state: i < now ? 'done' : i === now ? 'running' : 'open', ...(i === now && { done, of }) })),
    waiting: waiting === undefined ? null : { reason: waiting.reason, text: waiting.why ?? step.says[waiting.reason] ?? sentence(waiting.reason, provider.title), until: new Date(waiting.until).toISOString() }
  }
}

/** The other ways there are where this one failed: each the choice of another. `why`: why one is not possible. */
export function switches (step: SetupStep, { subject, state }: Item, provider: Provider, path: string, why: (choice: Choice) => string | null): object[] {
  const choice = provider.setup.find(({ id }) => id === step.when?.step)
  if (step.kind !== 'task' || state !== 'failed' || choice === undefined) return []
  return choice.choices.filter(({ value }) => value !== step.when?.is).map(one => ({
    action: 'choose',
    label: `Switch to ${one.title.slice(0, 1).toLowerCase()}${one.title.slice(1)}`,
    method: 'POST',
    path: `${path}/${choice.id}/choose`,
    body: { ...(choice.per !== undefined && { subject }), value: one.value },
    allowed: why(one) === null,
    why: why(one)
  }))
}
