// What events set going besides messages: people's data erased or gathered, a shop's life followed. Put together here, for the door,
// for the jobs, and for what is asked before each send.

import type { Consumer, PrivacyHooks } from './contract.ts'
import { digest } from './events/accept.ts'
import type { Parts } from './handlers.ts'
import type { JobHandler } from './jobs/runner.ts'
import { PRIVACY_JOB, privacyConsumers } from './privacy/ask.ts'
import { privacyJob } from './privacy/job.ts'
import { disconnectAll, followLife, LIFE_JOB, lifeConsumers, type LifeTools } from './shops/life.ts'
import { noticeId } from './subscribers/notices.ts'

type ConsumerParts = Pick<Parts, 'store' | 'runtime' | 'vault' | 'config'>

/** By type of event, what rides in the unit that accepts it. */
export function consumersOf ({ store, runtime, vault, config }: ConsumerParts): ReadonlyMap<string, readonly Consumer[]> {
  const all = [...privacyConsumers({ store, runtime, vault }), ...lifeConsumers({ store, runtime, config })]
  return new Map([...Map.groupBy(all, ([type]) => type)].map(([type, those]) => [type, those.map(([, consumer]) => consumer)]))
}

/** The jobs that these put. `hooks`: of the sources that keep something of people. */
export function actingHandlers (parts: Parts, hooks: () => readonly PrivacyHooks[] = () => []): Record<string, JobHandler> {
  const { store, runtime, vault, shops } = parts
  return {
    [PRIVACY_JOB]: job => privacyJob(job, {
      store,
      runtime,
      vault,
      digest,
      hooks,
      noticeId: (accountKey, phone) => noticeId({ accountKey, phone, ref: null }, vault),
      disconnect: shopKey => disconnectAll(shopKey, lifeTools(parts)),
      changed: id => {
        shops.forget(id)
        store.tell({ shop: id })
      }
    }),
    [LIFE_JOB]: job => followLife(job, lifeTools(parts))
  }
}

function lifeTools ({ store, runtime, vault, shops, config, providers, log }: Parts): LifeTools {
  return { store, runtime, vault, shops, config, provider: id => providers().get(id), warn: (fields, message) => { log.warn(fields, message) } }
}
