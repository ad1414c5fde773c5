// What Klaviyo says to the automatic set-up: data, nothing there, or the end of this run.

import type { TaskCheckContext, TaskResult } from '../../gateway/define.ts'

/** A list longer than this is not read to its end. */
const PAGES_MAX = 50

export interface Resource { id: string, attributes?: Record<string, unknown> }

/** `lost`: it may have been acted on all the same. `result` has no `made` yet. */
export type Stop = { is: 'stop', lost: boolean, result: Exclude<TaskResult, { is: 'done' }> }
export type Said = { is: 'ok', body: unknown } | { is: 'gone' } | Stop

export async function ask (context: TaskCheckContext, request: string, map: Record<string, unknown>): Promise<Said> {
  const answer = await context.ask(request, map)
  const outcome = context.judge(answer)
  const lost = answer.kind === 'no_answer' || (answer.kind === 'answer' && (answer.status === 408 || answer.status >= 500))
  const isCut = answer.kind === 'answer' && answer.cut
  const later = (afterMs: number): Stop => ({ is: 'stop', lost, result: { is: 'later', afterMs, reason: outcome.is !== 'delivered' ? outcome.reason ?? 'deferred' : isCut ? 'answer_too_large' : 'answer_unreadable' } })
  switch (outcome.is) {
    case 'delivered': {
      const body = answer.kind === 'answer' && !isCut ? parsed(answer.body) : undefined
      return body === undefined ? { ...later(0), lost: true } : { is: 'ok', body }
    }
    case 'retry': return later(outcome.afterMs ?? 0)
    case 'unknown': return later(0)
    case 'hold': case 'rejected':
      if (answer.kind === 'answer' && answer.status === 404) return { is: 'gone' }
      return { is: 'stop', lost, result: { is: 'failed', reason: outcome.reason, text: outcome.detail ?? '', made: [] } }
  }
}

/** All items of a list, its pages one after the other. */
export async function list (context: TaskCheckContext, request: string, map: Record<string, unknown>): Promise<{ is: 'ok', items: Resource[] } | { is: 'gone' } | Stop> {
  const items: Resource[] = []
  let cursor = ''
  for (let page = 0; page < PAGES_MAX; page++) {
    const said = await ask(context, request, { ...map, page_cursor: cursor })
    if (said.is !== 'ok') return said
    const { data, links } = said.body as { data?: unknown, links?: { next?: unknown } }
    if (!Array.isArray(data)) return { is: 'stop', lost: false, result: { is: 'later', afterMs: 0, reason: 'answer_unreadable' } }
    for (const one of data as unknown[]) if (isResource(one)) items.push(one)
    const next = typeof links?.next === 'string' ? new URLSearchParams(links.next.slice(links.next.indexOf('?') + 1)).get('page[cursor]') : null
    if (next === null || next === cursor) break
    cursor = next
  }
  return { is: 'ok', items }
}

/** The one thing that an answer holds; null where it holds none. */
export function dataOf (body: unknown): Resource | null {
  const data = (body as { data?: unknown } | null)?.data
  return isResource(data) ? data : null
}

function isResource (value: unknown): value is Resource {
  return value !== null && typeof value === 'object' && typeof (value as { id?: unknown }).id === 'string'
}

/** An empty body is an answer too: {}. */
function parsed (body: string): unknown {
  try {
    const value: unknown = body === '' ? {} : JSON.parse(body)
    return value !== null && typeof value === 'object' ? value : undefined
  } catch {
    return undefined
  }
}
