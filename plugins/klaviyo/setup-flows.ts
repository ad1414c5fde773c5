// Automatic set-up: a flow for each event type of a group, made and set live, and never a second one for a metric. Every run looks
// first, so it may be cut off anywhere. A create is not safe to repeat: that one is about to be asked for is on disk before it is.

import type { SetupTask, TaskCheckContext, TaskContext, TaskLink, TaskResult } from '../../gateway/define.ts'
import { FLOW_TEXTS, type FlowText } from './flow-texts.ts'
import { ask, dataOf, list, type Resource } from './setup-answers.ts'
import { isArchived, isLive, linkTo, listensTo, nameOf, whyNotLive } from './setup-flow.ts'

/**
 * So long a create whose answer was lost may still come true: Klaviyo's edge gives a request up after 100 seconds, ours
 * was on its way for less than a minute, and a flow is listed seconds after it was made. Twice of all that, and some.
 */
const LATE_MS = 5 * 60_000
const LOOK_MS = 15_000
/** So long an answer by id may be older than what was done before it. */
const LAG_MS = 60_000
const LAG_LOOK_MS = 5000
/** A metric is listed seconds after its first event; no delay is documented. */
const METRIC_MS = 30 * 60_000
const METRIC_LOOK_MS = { least: 2000, most: 60_000 }
/** A flow that was made and is gone is made anew so often. */
const ANEW_MAX = 2

/** What is known of an event type's flow. Times are epoch milliseconds. */
interface Made {
  metricId?: string
  seeds?: number
  seededAt?: number
  /** A create was asked for, and what came of it is not known. */
  creatingAt?: number
  flowId?: string
  /** When its flow was made or found, and when it was first set live. */
  flowAt?: number
  activatedAt?: number
  anew?: number
}
type Done = Record<string, Made>

export const automatic: SetupTask = {
  phases: [{ id: 'creating', title: 'Creating flows' }, { id: 'activating', title: 'Activating flows' }],
  run: async context => await new Flows(context, context).run(context),
  check: async context => await new Flows(context, null).check()
}

class Flows {
  #context: TaskCheckContext
  #task: TaskContext | null
  #done: Done
  #warnings: string[] = []

  constructor (context: TaskCheckContext, task: TaskContext | null) {
    this.#context = context
    this.#task = task
    this.#done = structuredClone((context.done ?? {}) as Done)
  }

  async run ({ types, phase }: TaskContext): Promise<TaskResult> {
    for (const [i, type] of types.entries()) {
      await phase('creating', i, types.length)
      const stop = await this.#create(type)
      if (stop !== null) return this.#ended(stop)
    }
    for (const [i, type] of types.entries()) {
      await phase('activating', i, types.length)
      const stop = await this.#activate(type)
      if (stop !== null) return this.#ended(stop)
    }
    return this.#success()
  }

  /** Whether what was made is still live, and alone. What may not be read says nothing of it, and is only told. */
  async check (): Promise<TaskResult> {
    for (const type of this.#context.types) {
      const { flowId, metricId } = this.#of(type)
      const name = FLOW_TEXTS[type]?.name ?? type
      const flow = flowId === undefined ? { is: 'gone' } as const : await ask(this.#context, 'flow', { flow_id: flowId })
      if (flow.is === 'gone') return this.#ended(failed('not_verified', `The flow "${name}" is not in Klaviyo any more.`))
      const found = flow.is === 'ok' ? dataOf(flow.body) : null
      const why = found === null ? null : whyNotLive(found)
      if (why !== null) return this.#ended(failed('not_verified', `The flow "${name}" sends nothing: ${why}. Turn it on in Klaviyo, or try again.`))
      const listening = flow.is === 'ok' && metricId !== undefined ? await list(this.#context, 'metric_flows', { metric_id: metricId }) : flow
      if (listening.is === 'stop' && listening.result.is === 'later') return listening.result
      if (listening.is === 'stop' && listening.result.is === 'failed') this.#warnings.push(`Klaviyo does not let us look after the flow "${name}": ${listening.result.text}`)
      if (listening.is === 'ok' && 'items' in listening) this.#warnOf(listening.items.filter(one => one.id !== flowId && isLive(one)), name)
    }
    return this.#success()
  }

  // ── creating ──

  async #create (type: string): Promise<TaskResult | null> {
    const text = FLOW_TEXTS[type]
    const metric = this.#context.trigger(type)
    if (text === undefined || metric === null) return failed('task_failed', `There is no flow to be made for ${type}.`)
    const unknown = this.#of(type).metricId === undefined ? await this.#findMetric(type, metric) : null
    if (unknown !== null) return unknown
    const { metricId = '', flowId } = this.#of(type)
    const listening = await list(this.#context, 'metric_flows', { metric_id: metricId })
    if (listening.is === 'gone') {
      await this.#save(type, { metricId: undefined })
      return failed('task_failed', `Klaviyo does not know the metric "${metric}" any more. Try again.`)
    }
    if (listening.is === 'stop') return listening.result
    const flows = listening.items.filter(flow => !isArchived(flow))
    const ours = flows.find(({ id }) => id === flowId) ?? flows.filter(flow => nameOf(flow) === text.name).toSorted((a, b) => Number(isLive(b)) - Number(isLive(a)))[0]
    const others = flows.filter(flow => flow.id !== ours?.id && isLive(flow))
    if (others[0] !== undefined && (ours === undefined || !isLive(ours))) return failed('task_failed', `The flow "${nameOf(others[0])}" is live and listens to the metric "${metric}" already: with a second one customers would be texted twice. Turn it off in Klaviyo and try again, or switch to manual.`)
    this.#warnOf(others, text.name)
    if (ours !== undefined) return await this.#adopt(type, ours.id)
    if (flowId !== undefined) {
      const stop = await this.#lookAgain(type, metricId)
      if (stop !== undefined) return stop
    }
    return await this.#createUnlessThere(type, text, metricId)
  }

  /** The metric's id; where Klaviyo has none of its name yet, an event that triggers nothing makes it. */
  async #findMetric (type: string, metric: string): Promise<TaskResult | null> {
    const { id, connection, options, now, sample } = this.#context
    const integration = connection.auth === 'api_key' ? 'API' : String(options['app_name']) // what is sent with a private key belongs to Klaviyo's own "API"
    const metrics = await list(this.#context, 'metrics', { integration })
    if (metrics.is !== 'ok') return metrics.is === 'stop' ? metrics.result : later(0, 'answer_unreadable')
    const found = metrics.items.find(one => nameOf(one) === metric && (one.attributes?.['integration'] as { name?: unknown } | undefined)?.name === integration)
    if (found !== undefined) {
      await this.#save(type, { metricId: found.id, seededAt: undefined })
      return null
    }
    const { seeds = 0, seededAt } = this.#of(type)
    const why = `Waiting until Klaviyo lists the metric "${metric}".`
    if (seededAt === undefined) {
      const properties = propertiesOf(sample(type)?.body ?? null)
      if (properties === null) return failed('task_failed', `There is no sample of ${type} that could make the metric "${metric}" known.`)
      const said = await ask(this.#context, 'seed_metric', { unique_id: `${id}-${type}-${seeds}`, metric, properties })
      if (said.is !== 'ok') return said.is === 'stop' ? said.result : later(0, 'answer_unreadable')
      await this.#save(type, { seededAt: now() })
      return later(METRIC_LOOK_MS.least, 'deferred', why)
    }
    const forMs = now() - seededAt
    if (forMs < METRIC_MS) return later(Math.min(Math.max(METRIC_LOOK_MS.least, forMs / 2), METRIC_LOOK_MS.most), 'deferred', why)
    await this.#save(type, { seededAt: undefined, seeds: seeds + 1 })
    return failed('task_failed', `Klaviyo took an event for the metric "${metric}", but has not listed it for half an hour. Try again.`)
  }

  /** The flow that was made is not among those that listen: undefined where it is gone, and another may be made. */
  async #lookAgain (type: string, metricId: string): Promise<TaskResult | null | undefined> {
    const { flowId, flowAt = 0 } = this.#of(type)
    const said = await ask(this.#context, 'flow', { flow_id: flowId })
    if (said.is === 'stop') return said.result
    const flow = said.is === 'ok' ? dataOf(said.body) : null
    if (flow !== null && !isArchived(flow) && listensTo(flow, metricId)) return null
    if (flow === null && this.#context.now() - flowAt < LAG_MS) return later(LAG_LOOK_MS, 'deferred')
    return await this.#forget(type) ?? undefined
  }

  async #createUnlessThere (type: string, text: FlowText, metricId: string): Promise<TaskResult | null> {
    const named = await list(this.#context, 'find_flows', { flow_name: text.name })
    if (named.is !== 'ok') return named.is === 'stop' ? named.result : later(0, 'answer_unreadable')
    for (const { id } of named.items.filter(flow => nameOf(flow) === text.name && !isArchived(flow))) {
      const said = await ask(this.#context, 'flow', { flow_id: id })
      if (said.is === 'stop') return said.result
      const flow = said.is === 'ok' ? dataOf(said.body) : null
      if (flow !== null && listensTo(flow, metricId)) return await this.#adopt(type, id)
    }
    const { now } = this.#context
    const { creatingAt } = this.#of(type)
    const restMs = creatingAt === undefined ? 0 : creatingAt + LATE_MS - now()
    if (restMs > 0) return later(Math.min(restMs, LOOK_MS), 'no_answer', `Klaviyo's answer to creating the flow "${text.name}" was lost. We look for five minutes whether it is there before we create it again.`)
    await this.#save(type, { creatingAt: now() })
    const { name, message, transactional } = text
    const said = await ask(this.#context, 'create_flow', { name, message, transactional, metric_id: metricId })
    const flow = said.is === 'ok' ? dataOf(said.body) : null
    if (flow !== null) return await this.#adopt(type, flow.id)
    const isLost = said.is === 'ok' || (said.is === 'stop' && said.lost)
    await this.#save(type, { creatingAt: isLost ? now() : undefined })
    if (isLost) return later(LAG_LOOK_MS, 'no_answer', `Klaviyo's answer to creating the flow "${text.name}" was lost. We look whether it is there.`)
    return said.is === 'stop' ? said.result : failed('task_failed', `Klaviyo takes no flows over its API for this account.`)
  }

  async #adopt (type: string, flowId: string): Promise<null> {
    const { flowId: before, creatingAt } = this.#of(type)
    if (before !== flowId || creatingAt !== undefined) await this.#save(type, { flowId, flowAt: this.#context.now(), creatingAt: undefined, activatedAt: undefined })
    return null
  }

  /** Null: it may be made anew. */
  async #forget (type: string): Promise<TaskResult | null> {
    const { anew = 0 } = this.#of(type)
    await this.#save(type, { flowId: undefined, flowAt: undefined, activatedAt: undefined, anew: anew < ANEW_MAX ? anew + 1 : 0 })
    return anew < ANEW_MAX ? null : failed('task_failed', `The flow "${FLOW_TEXTS[type]?.name ?? type}" was made more than once, and is gone from Klaviyo each time. Try again, or switch to manual.`)
  }

  // ── activating ──

  async #activate (type: string): Promise<TaskResult | null> {
    const { flowId, flowAt = 0 } = this.#of(type)
    const name = FLOW_TEXTS[type]?.name ?? type
    const { now } = this.#context
    const gone = async (): Promise<TaskResult> => now() - flowAt < LAG_MS ? later(LAG_LOOK_MS, 'deferred') : await this.#forget(type) ?? later(0, 'deferred')
    const before = await ask(this.#context, 'flow', { flow_id: flowId })
    if (before.is === 'stop') return before.result
    const found = before.is === 'ok' ? dataOf(before.body) : null
    if (found === null) return await gone()
    if (whyNotLive(found) === null) return null
    const said = await ask(this.#context, 'activate_flow', { flow_id: flowId })
    if (said.is === 'gone') return await gone()
    if (said.is === 'stop') return said.result
    const after = await ask(this.#context, 'flow', { flow_id: flowId })
    if (after.is === 'stop') return after.result
    const flow = after.is === 'ok' ? dataOf(after.body) : null
    if (flow === null) return await gone()
    const why = whyNotLive(flow)
    if (why === null) return null
    const { activatedAt } = this.#of(type)
    if (activatedAt === undefined) await this.#save(type, { activatedAt: now() })
    if (activatedAt === undefined || now() - activatedAt < LAG_MS) return later(LAG_LOOK_MS, 'deferred', `Waiting until Klaviyo shows the flow "${name}" as live.`)
    await this.#save(type, { activatedAt: undefined })
    return failed('task_failed', `The flow "${name}" is there, but Klaviyo did not turn it on: ${why}. Turn it on in Klaviyo, or try again.`)
  }

  // ── what is known ──

  #of (type: string): Made { return this.#done[type] ?? {} }

  async #save (type: string, changes: { [key in keyof Made]?: Made[key] | undefined }): Promise<void> {
    this.#done[type] = Object.fromEntries(Object.entries({ ...this.#of(type), ...changes }).filter(([, value]) => value !== undefined)) as Made
    await this.#task?.save(this.#done)
  }

  #links (): TaskLink[] {
    return this.#context.types.flatMap(type => {
      const { flowId } = this.#of(type)
      return flowId === undefined ? [] : [linkTo(flowId, FLOW_TEXTS[type]?.name ?? type)]
    })
  }

  #warnOf (others: readonly Resource[], name: string): void {
    for (const other of others) this.#warnings.push(`The flow "${nameOf(other)}" is live and listens to the same metric as "${name}": customers are texted twice. Turn one of them off in Klaviyo.`)
  }

  /** What is there already is named with whatever stopped it. */
  #ended (result: TaskResult): TaskResult { return result.is === 'done' ? result : { ...result, made: this.#links() } }

  #success (): TaskResult {
    const { types } = this.#context
    const transactional = types.some(type => FLOW_TEXTS[type]?.transactional)
    const text = `${types.length > 1 ? 'Your flows are live in Klaviyo' : 'Your flow is live in Klaviyo'}, with quiet hours on${transactional ? ' and marked as transactional' : ''}.`
    return { is: 'done', links: this.#links(), text, warnings: this.#warnings }
  }
}

function failed (reason: Extract<TaskResult, { is: 'failed' }>['reason'], text: string): TaskResult { return { is: 'failed', reason, text, made: [] } }

function later (afterMs: number, reason: Extract<TaskResult, { is: 'later' }>['reason'], why?: string): TaskResult {
  return { is: 'later', afterMs: Math.ceil(afterMs), reason, ...(why !== undefined && { why }) }
}

/** Those that an event of the metric has, from the request that sample data make. */
function propertiesOf (body: string | null): Record<string, unknown> | null {
  const event = body === null ? null : JSON.parse(body) as { data?: { attributes?: { properties?: Record<string, unknown> } } }
  return event?.data?.attributes?.properties ?? null
}
