// What is said of a step.

import type { Provider, SetupStep } from '../../contract.ts'
import { sentence, type Reason } from '../../reasons.ts'

/** The step's own sentence for a reason, or the core's. */
export function sayingOf<R extends Reason | null> (step: SetupStep, reason: R, provider: Provider): R extends null ? string | null : string {
  return (reason && (step.says[reason] ?? sentence(reason, provider.title))) as R extends null ? string | null : string
}
