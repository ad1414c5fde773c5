import type { Provider } from '../contract.ts'
import { byPlace, faultsAsJson, formatFaults } from '../config/format.ts'
import { diff } from '../mapping/case.ts'
import type { Loaded } from '../load.ts'
import { runCases, type CaseResult } from '../providers/cases.ts'
import type { Call, Run } from './command.ts'
import { load, pick } from './offline.ts'
import { indent, printable } from './text.ts'

/** Runs every case of the folders named, or of all. */
export const test: Run = async call => {
  const loaded = await load(call)
  const chosen = call.positionals.length === 0
    ? [...loaded.providers.values()]
    : call.positionals.map(id => pick('provider', id, loaded.providers, 'GW_NOT_FOUND'))
  const runs = chosen.map(provider => runOf(provider, loaded))
  const failed = runs.some(({ ok }) => !ok)
  return { exit: failed ? 1 : 0, value: { ok: !failed, providers: runs.map(asJson) }, text: runs.map(run => asText(run, call)).join('\n') }
}

interface CaseRun extends CaseResult { differences: string[] }
interface FolderRun { provider: Provider, ok: boolean, cases: CaseRun[], faults: ReturnType<typeof runCases>['faults'] }

function runOf (provider: Provider, { files, schemas }: Loaded): FolderRun {
  const { results, faults } = runCases(provider, files)
  const cases = results.map(result => Object.assign(result, { differences: [...misfits(result, schemas), ...differences(result)] }))
  return { provider, ok: faults.length === 0 && cases.every(({ differences }) => differences.length === 0), cases, faults }
}

// A case whose data no caller could send proves nothing.
function misfits ({ case: { type, data } }: CaseResult, schemas: Loaded['schemas']): string[] {
  const schema = schemas.get(type)
  if (schema === undefined) return [`/type: there is no event type "${type}"`]
  return schema.faults(data).map(({ path, message }) => `/data${path}: ${message}, says the schema of ${type}`)
}

function differences ({ case: { expect }, got, fault }: CaseResult): string[] {
  return fault === null ? [] : diff(expect, got).map(line => `/expect${line}`)
}

function asJson ({ provider, ok, cases, faults }: FolderRun): object {
  const told = cases.map(({ case: { name, kind, type }, fault, differences }) => ({ name, kind, type, ok: differences.length === 0, differences, place: fault?.place ?? null }))
  return { id: provider.id, ok, cases: told, faults: faultsAsJson(faults.toSorted(byPlace)) }
}

function asText ({ provider, ok, cases, faults }: FolderRun, call: Call): string {
  const failed = cases.filter(({ differences }) => differences.length > 0)
  const mark = ok ? call.paint('green', 'ok    ') : call.paint('red', 'failed')
  const lines = [`${mark}  ${provider.id}: ${cases.length - failed.length} of ${cases.length} cases`]
  if (faults.length > 0) lines.push(indent(formatFaults(faults)))
  for (const { case: { name }, fault, differences } of failed) {
    const place = fault === null ? '' : `${fault.place.file}:${fault.place.line}:${fault.place.column} `
    lines.push(indent(printable(`${place}${name}`)), ...differences.map(line => indent(printable(line), '    ')))
  }
  return lines.join('\n')
}
