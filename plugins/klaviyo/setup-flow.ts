// A flow as the automatic set-up looks at it: whose trigger it listens to, whether it sends, and its address for a merchant.

import type { TaskLink } from '../../gateway/define.ts'
import type { Resource } from './setup-answers.ts'

interface Definition { triggers?: Array<{ id?: unknown }>, actions?: Array<{ type?: unknown, data?: { status?: unknown } }> }

export function nameOf ({ attributes }: Resource): string { return String(attributes?.['name'] ?? '') }
export function statusOf ({ attributes }: Resource): string { return String(attributes?.['status'] ?? '') }
export function isArchived ({ attributes }: Resource): boolean { return attributes?.['archived'] === true }
export function isLive (flow: Resource): boolean { return statusOf(flow) === 'live' && !isArchived(flow) }

/** With its definition. */
export function listensTo (flow: Resource, metricId: string): boolean {
  return definitionOf(flow).triggers?.some(({ id }) => id === metricId) === true
}

/** With its definition: why it sends nothing; null where it does. */
export function whyNotLive (flow: Resource): string | null {
  if (isArchived(flow)) return 'it is archived'
  if (statusOf(flow) !== 'live') return `it is ${statusOf(flow) || 'of no status'}, not live`
  const sms = definitionOf(flow).actions?.filter(({ type }) => type === 'send-sms') ?? []
  if (sms.length === 0) return 'it sends no SMS'
  const still = sms.find(({ data }) => data?.status !== 'live')
  return still === undefined ? null : `its SMS is ${String(still.data?.status)}, not live`
}

export function linkTo (id: string, title: string): TaskLink { return { title, url: `https://www.klaviyo.com/flow/${encodeURIComponent(id)}/edit` } }

function definitionOf ({ attributes }: Resource): Definition { return attributes?.['definition'] as Definition | undefined ?? {} }
