// What a set-up that is not finished, or came undone, says of what is wrong.

import type { Cause } from '../../contract.ts'
import { sentence } from '../../reasons.ts'
import { arrivalOf } from '../setup/arrival.ts'
import { connects, type Item, type Standing } from '../setup/progress.ts'
import type { DiagnosisFacts } from './facts.ts'
import { made, type FoundCause } from './found.ts'
import { codeOf, fixOf, type FoundCode } from './texts.ts'

/** Steps that are the flow itself: where one was never done, that explains why nobody is texted. */
const FLOWS: ReadonlySet<string> = new Set(['verify', 'confirm', 'task'])
/** Reasons of a step that are causes by themselves; any other is that the step failed. */
const PLAIN: ReadonlySet<FoundCode> = new Set(['wrong_key', 'scopes_missing', 'selection_gone', 'rate_limit'])

/** Steps that are not done, or came undone, in the manifest's order. What is declared to be set up is believed, unless it was looked at. */
export function settingUp ({ provider, connection, standings, groups }: DiagnosisFacts): FoundCause[] {
  if (provider === null || connection === null || connection.platform) return []
  const { title } = provider
  const isDeclared = (subject: string) => groups.filter(({ group, types }) => subject === '' || group === subject || types.some(({ type }) => type === subject)).every(({ declared }) => declared)
  const ofItem = (standing: Standing, item: Item): FoundCause[] => {
    switch (item.state) {
      case 'failed': return undone(standing, item, title)
      case 'done': return [...warned(standing, item, title), ...(mayNotLook(item) ? [refused(standing, item, title)] : [])]
      case 'open': return item.row.reason !== null ? [refused(standing, item, title)] : standing.step.optional || isDeclared(item.subject) ? [] : [open(standing, item, title)]
      default: return []
    }
  }
  return standings.filter(({ step }) => !connects(step)).flatMap(standing => standing.items.flatMap(item => ofItem(standing, item)))
}

/** What the provider said no to, or could not be asked. */
export function refused ({ step }: Standing, item: Item, title: string): FoundCause {
  const { reason, detail } = item.row
  const code = reason === null ? 'setup_failed' : codeOf(reason)
  const says = reason === null ? `"${step.title}" failed.` : step.says[reason] ?? sentence(reason, title)
  return about(PLAIN.has(code) ? code : 'setup_failed', detail === null || connects(step) ? says : `${says} (${detail})`, title, step.id, item)
}

/** Never done. */
function open (standing: Standing, item: Item, title: string): FoundCause {
  const { step } = standing
  if (isEmptyList(standing, item)) return about('no_keywords', step.empty ?? `There is nothing to choose from at ${title} yet.`, title, step.id, item)
  const code: Cause = FLOWS.has(step.kind) ? 'flow_missing' : 'steps_skipped'
  return { ...about(code, `"${step.title}" is not done yet.`, title, step.id, item), fix: `${fixOf(code, title)} ${step.text}` }
}

/** What was looked at and was not as it must be, each finding apart. */
function undone (standing: Standing, item: Item, title: string): FoundCause[] {
  const { step } = standing
  if (isEmptyList(standing, item)) return [open(standing, item, title)]
  const wrong = findingsOf(item).filter(({ ok, warns }) => ok === false && !warns)
  if (wrong.length === 0) return [refused(standing, item, title)]
  const near = item.row.found['near'] as string[] | undefined ?? []
  return wrong.map(({ id, text }) => {
    const code = causeOf(standing, id) ?? 'setup_failed'
    const cause = about(code, text, title, step.id, item)
    return code === 'flow_name_mismatch' && near.length > 0 ? { ...cause, fix: `${cause.fix} There is: ${near.map(name => `"${name}"`).join(', ')}.` } : cause
  })
}

/** What a verification found that is no obstacle; a test event that was accepted, and not found afterwards. */
function warned (standing: Standing, item: Item, title: string): FoundCause[] {
  const { step } = standing
  const isLost = arrivalOf(item.row)?.state === 'not_found'
  return [
    ...findingsOf(item).filter(({ ok, warns }) => warns && ok === false).map(({ id, text }) => about(causeOf(standing, id) ?? 'verified_with_warning', text, title, step.id, item)),
    ...(isLost ? [about('not_arrived', step.says.not_arrived ?? sentence('not_arrived', title), title, step.id, item)] : [])
  ]
}

/** Done once, and the permission to look again is gone. */
function mayNotLook ({ row: { reason } }: Item): boolean { return reason !== null && codeOf(reason) === 'scopes_missing' }

interface Finding { id: string, ok: boolean | null, warns: boolean, text: string }

function findingsOf ({ row }: Item): Finding[] { return row.found['findings'] as Finding[] | undefined ?? [] }

function causeOf ({ step }: Standing, finding: string): Cause | undefined { return step.findings.find(({ id }) => id === finding)?.cause }

function isEmptyList ({ step }: Standing, { row: { found } }: Item): boolean {
  return step.kind === 'select' && Array.isArray(found['options']) && found['options'].length === 0
}

function about (code: FoundCode, says: string, title: string, step: string, { subject, row }: Item): FoundCause {
  return { ...made(code, says, title, { step, subject: subject || null }), ...(row.checkedAt !== null && { since: row.checkedAt }) }
}
