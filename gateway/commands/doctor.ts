import { connect } from './client.ts'
import type { Call, Run } from './command.ts'
import { cell, indent } from './text.ts'

interface Cause { code: string, certain: boolean, sentence: string, fix: string, where: { step: string | null, subject: string | null, delivery?: string }, since?: string }
interface Diagnosis { shop: string, channel: string, provider: string | null, healthy: boolean, causes: Cause[] }

/** Exits with 1 where something is certainly wrong. */
export const doctor: Run = async call => {
  const client = await connect(call)
  const [shop = '', channel] = call.positionals
  const told = await client<Diagnosis>(`/v1/shops/${encodeURIComponent(shop)}/diagnosis`, { query: { channel, person: call.text('person') } })
  return { exit: told.healthy ? 0 : 1, value: told, text: textOf(told, call) }
}

function textOf ({ channel, provider, healthy, causes }: Diagnosis, call: Call): string {
  const head = `${call.paint('bold', cell(channel))}: ${provider === null ? 'no provider' : cell(provider)}  ${healthy ? call.paint('green', 'nothing found wrong') : call.paint('red', 'something is wrong')}`
  return [head, ...causes.map(cause => causeOf(cause, call))].join('\n\n')
}

function causeOf ({ code, certain, sentence, fix, where: { step, subject, delivery }, since }: Cause, call: Call): string {
  const place = [step && `step ${step}`, subject && `for ${subject}`, delivery, since && `since ${since}`].filter(Boolean).map(cell).join(', ')
  const lines = [cell(sentence), `Fix: ${cell(fix)}`, ...(place === '' ? [] : [`At: ${place}`])]
  return `${call.paint(certain ? 'red' : 'yellow', cell(code))}${certain ? '' : '  (possible)'}\n${indent(lines.join('\n'))}`
}
