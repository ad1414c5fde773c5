// Whether a provider that says it can record a message without sending it is told so, for every kind of message.

import { treeOf } from './compile.ts'
import type { Compiling } from './compile.ts'
import { step } from '../json-pointer.ts'
import type { Manifest } from './manifest.ts'

/** Whoever is added to a list is asked to opt in, so that is never only recorded, and need not read it. An event whose request never reads `delivery.record_only` would be sent where it was only to be recorded. Faults are pushed to `compiling.faults`. */
export function checkRecordOnly (manifest: Manifest, compiling: Compiling): void {
  if (!manifest.record_only) return
  for (const [type, { request: name, map = {} }] of Object.entries(manifest.events)) {
    if (manifest.subscribers?.add.includes(type)) continue
    const { body, query, headers } = manifest.requests[name] as Manifest['requests'][string]
    const trees = [treeOf(body, `/requests${step(name)}/body`, compiling)?.value, query, headers, ...Object.entries(map).map(([key, entry]) => treeOf(entry, `/events${step(type)}/map${step(key)}`, compiling)?.value)]
    if (/\bdelivery\.record_only\b/.test(JSON.stringify(trees))) continue
    compiling.faults.push(compiling.file.fault('GW_CONFIG_VALUE', '/record_only', `${type} would be sent, and not only recorded: its request does not read delivery.record_only`, 'Read it where the provider is told, or remove record_only.'))
  }
}
