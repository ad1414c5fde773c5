import type { Detail } from '../contract.ts'
import { GatewayError } from '../errors.ts'
import type { Call, Run } from './command.ts'
import { connect, type Client } from './client.ts'
import { exampleData, givenData, SOURCE, type Given } from './event.ts'
import { detailLine } from './report.ts'
import { cell } from './text.ts'

const WAIT_MS = 60_000
const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 1000
const UNDERWAY = new Set(['waiting', 'sending'])

interface Sent { id: string, provider: string | null, state: string, reason?: string | null, sentence?: string | null, detail?: string | null }
interface Receipt { id: string | null, status: string, deliveries?: Sent[], error?: { code: string, message: string, details?: Detail[] } }

/** Posts one event. With --wait it is fine only when every delivery of it was delivered. */
export const send: Run = async call => {
  const type = call.positionals[0] as string
  const event = await eventOf(call, type)
  const client = await connect(call)
  const receipt = await client<Receipt>('/v1/events', { method: 'POST', body: event, contentType: 'application/cloudevents+json', accept: [422, 409] })
  if (receipt.status === undefined) throw refusedWhole(receipt)
  const deliveries = call.flag('wait') ? await ends(receipt.deliveries ?? [], client, call) : receipt.deliveries ?? []
  const fine = receipt.status !== 'refused' && (!call.flag('wait') || deliveries.every(({ state }) => state === 'delivered'))
  return { exit: fine ? 0 : 1, value: { ...receipt, deliveries }, text: textOf(receipt, deliveries, call) }
}
