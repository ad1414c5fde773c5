// The texts that merchants write, as settings of their connections: which setting an event takes its text from,
// what the text may read, and whether it can be used.

import type { Detail, Mapper, Provider, SmsText, TextFault, TextPreview } from '../contract.ts'
import { MappingError } from '../errors.ts'
import type { Compiling, Tree } from './compile.ts'
import { treeOf } from './compile.ts'
import type { EventSource, Manifest } from './manifest.ts'
import { step } from '../json-pointer.ts'

/** The text of one event type: the names it may read, and what becomes of it with the event's map; `render` throws MappingError only. */
export interface EventText {
  setting: string
  title: string
  standard: string
  names: string[]
  render (settings: Record<string, unknown>, map: Record<string, unknown>): SmsText
  /** The same for whoever writes it: faults of the template with their places; one at its beginning says why it gives no text. */
  preview (settings: Record<string, unknown>, map: Record<string, unknown>): TextPreview
}

/** The text of an event, its default checked; null where the event has none, or a fault was added. `at` is the event's place. */
export function compileText (event: EventSource, at: string, manifest: Manifest, compiling: Compiling): EventText | null {
  const { text, map = {} } = event
  if (text === undefined) return null
  const tree = treeOf(map[text.reads], `${at}/map${step(text.reads)}`, compiling)
  if (tree === null) return null
  const { file, mapper, faults } = compiling
  const names = namesOf(tree)
  if (names === null) {
    faults.push(file.fault('GW_CONFIG_REFERENCE', `${at}/text/reads`, `map.${text.reads} is no object of values by name`, 'Name an entry of map that is one: product_title: "{{ … }}".'))
    return null
  }
  for (const { offset, message, fix } of faultsOf(mapper.text(manifest.settings[text.setting]?.['default'] as string, names))) {
    faults.push(file.fault('GW_MAPPING_SYNTAX', `/settings${step(text.setting)}/default`, message, fix, { offset }))
  }
  const { title = text.setting, default: standard } = manifest.settings[text.setting] as { title?: string, default: string }
  return {
    setting: text.setting, title, standard, names,
    render: (settings, made) => rendered(text.setting, names, mapper, settings, made[text.reads] as Record<string, unknown>),
    preview: (settings, made) => previewed(String(settings[text.setting]), names, mapper, made[text.reads] as Record<string, unknown>)
  }
}

function previewed (template: string, names: readonly string[], mapper: Mapper, values: Record<string, unknown>): TextPreview {
  const text = mapper.text(template, names)
  if ('faults' in text) return text
  try {
    const sms = text.render(values)
    return { ...sms, nonGsm: mapper.nonGsm(sms.text) }
  } catch (error) {
    if (error instanceof MappingError) return notMade(error)
    throw error
  }
}

/** Nothing is wrong with the template itself, and it gives no text all the same. */
export function notMade ({ message }: MappingError): TextPreview {
  return { faults: [{ offset: 0, message: message.slice(0, 300), fix: 'Change the text, so that it says something in at most 1,600 characters.' }] }
}

/** What is wrong with the texts among given settings; those that are left out or are no text are not looked at. */
export function textFaults (texts: readonly EventText[], mapper: Mapper): Provider['settingsFaults'] {
  return settings => {
    const details = texts.flatMap(({ setting, names }) => {
      const template = Object.hasOwn(settings, setting) ? settings[setting] : undefined
      return typeof template === 'string' ? faultsOf(mapper.text(template, names)).map(fault => detailOf(setting, template, fault)) : []
    })
    return details.filter((detail, i) => details.findIndex(({ path, message }) => path === detail.path && message === detail.message) === i)
  }
}

// A value of its own for each name: trees below it have no text.
function namesOf ({ value }: Tree): string[] | null {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return null
  return Object.entries(value).filter(([, leaf]) => typeof leaf !== 'object').map(([name]) => name)
}

function rendered (setting: string, names: readonly string[], mapper: Mapper, settings: Record<string, unknown>, values: Record<string, unknown>): SmsText {
  const template = settings[setting]
  if (typeof template !== 'string') throw new MappingError(`settings.${setting}: is no text`)
  const text = mapper.text(template, names)
  if ('faults' in text) throw new MappingError(`settings.${setting}: ${text.faults.map(said).join(' ')}`)
  try {
    return text.render(values)
  } catch (error) {
    throw error instanceof MappingError ? new MappingError(`settings.${setting}: ${error.message}`) : error
  }
}

function faultsOf (compiled: ReturnType<Mapper['text']>): TextFault[] {
  return 'faults' in compiled ? compiled.faults : []
}

function detailOf (setting: string, template: string, fault: TextFault): Detail {
  return { path: `/settings${step(setting)}`, rule: 'template', message: said(fault), got: template.slice(fault.offset, fault.offset + 60) }
}

function said ({ offset, message, fix }: TextFault): string {
  return `character ${offset + 1}: ${message}. ${fix}`
}
