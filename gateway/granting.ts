// Tokens of connections by OAuth, put together from the parts that renewing them needs.

import { createSender } from './delivery/send.ts'
import type { Parts } from './handlers.ts'
import { deadlineMs } from './shops/oauth/client.ts'
import { Grants } from './shops/oauth/grants.ts'

const CONNECTIONS = 8

/** `parts` is complete only once all of them are made. */
export function granting (parts: () => Parts, sandboxUrl: string | null): Grants {
  const { store, runtime, vault, shops, log } = parts()
  return new Grants({
    store,
    runtime,
    vault,
    shops,
    log,
    config: () => parts().config(),
    provider: id => parts().providers().get(id),
    sender: origin => createSender(origin, { deadlineMs: deadlineMs(parts().config()), connections: CONNECTIONS, sandboxOrigin: sandboxUrl === null ? null : new URL(sandboxUrl).origin, now: runtime.mono }),
    wake: account => { parts().deliver.wake(account) },
    reread: accounts => parts().deliver.reread(accounts),
    release: accounts => { parts().deliver.release(accounts) }
  })
}
