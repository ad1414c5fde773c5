import { GatewayError } from '../errors.ts'
import { connect, type Client } from './client.ts'
import type { Call, Run } from './command.ts'
import { exampleData, givenData, SOURCE, type Given } from './event.ts'
import { load, pick } from './offline.ts'
import { cell } from './text.ts'

const WAIT_MS = 60_000
const FIRST_PAUSE_MS = 50
const LONGEST_PAUSE_MS = 1000
const UNDERWAY = new Set(['waiting', 'sending'])

interface Sent { id: string, provider: string | null, state: string, reason?: string | null, sentence?: string, detail?: string | null }
interface Event { id: string, [attribute: string]: unknown }
interface Receipt { id: string, status: string, deliveries: Sent[] }

/** Posts one event. With --wait it is fine only when every delivery of it was delivered. */
export const send: Run = async call => {
  const event = await eventOf(call, call.positionals[0] as string)
  const client = await connect(call)
  const receipt = await post(event, client, call)
  if (!call.flag('wait')) return { exit: 0, value: receipt, text: textOf(receipt, call) }
  call.remark(`event ${cell(receipt.id)} ${cell(receipt.status)}; following its deliveries`)
  const ended = { ...receipt, deliveries: await ends(receipt.deliveries, client, call) }
  const delivered = ended.deliveries.every(({ state }) => state === 'delivered')
  return { exit: delivered ? 0 : 1, value: ended, text: textOf(ended, call) }
}

/** What the options say goes before what a whole event in --data says of itself. */
async function eventOf (call: Call, type: string): Promise<Event> {
  const given = await givenData(call, type) ?? await example(call, type)
  const shop = call.text('shop') ?? given.shop
  if (shop === undefined) throw new GatewayError('GW_USAGE', '--shop <id> is missing.')
  return {
    specversion: '1.0',
    id: call.text('id') ?? given.id ?? call.io.uuid(),
    source: call.text('source') ?? given.source ?? SOURCE,
    type,
    shop,
    time: given.time ?? new Date(call.io.now()).toISOString(),
    data: given.data
  }
}

// Without an answer it may have arrived. Sent again with a new id, it would be another event, and text twice.
async function post (event: Event, client: Client, call: Call): Promise<Receipt> {
  try {
    return await client<Receipt>('/v1/events', { method: 'POST', body: event, contentType: 'application/cloudevents+json' })
  } catch (error) {
    if (error instanceof GatewayError && error.code === 'GW_UNREACHABLE') call.remark(`to send it again as the same event, add: --id ${cell(event.id)}`)
    throw error
  }
}

async function example (call: Call, type: string): Promise<Given> {
  const n = call.integer('example')
  if (n === undefined) throw new GatewayError('GW_USAGE', 'Give --data <file> or --example <n>')
  const { schemas } = await load(call)
  return { data: exampleData(pick('event type', type, schemas, 'GW_EVENT_TYPE_UNKNOWN'), n) }
}

/** The deliveries as they are once none is under way any more, or when the time is up. */
async function ends (deliveries: readonly Sent[], client: Client, call: Call): Promise<Sent[]> {
  const { io } = call
  const until = io.now() + WAIT_MS
  const pending = deliveries.map(async ({ id }) => {
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
      const { provider, state, reason, sentence, detail } = await client<Required<Sent>>(`/v1/deliveries/${encodeURIComponent(id)}`)
      if (!UNDERWAY.has(state) || io.now() >= until) return { id, provider, state, reason, sentence, detail }
      await io.sleep(pauseMs)
    }
  })
  const ended = await Promise.all(pending)
  if (ended.some(({ state }) => UNDERWAY.has(state))) call.remark(`still under way after ${WAIT_MS / 1000} seconds; see: gateway deliveries show <id>`)
  return ended
}

function textOf ({ id, status, deliveries }: Receipt, call: Call): string {
  const lines = deliveries.map(({ id, provider, state, reason, sentence, detail }) => {
    const why = [sentence ?? reason, detail].filter(text => typeof text === 'string' && text !== '').map(cell)
    return `  ${cell(id)}  ${call.paint(state === 'delivered' ? 'green' : 'yellow', cell(state))}  ${[`at ${cell(provider)}`, ...why].join('; ')}`
  })
  return [`event ${cell(id)} ${cell(status)}`, ...lines].join('\n')
}
