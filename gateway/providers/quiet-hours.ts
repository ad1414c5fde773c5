// When the messages of a provider wait for a better hour: what its manifest, the platform's options and a shop's settings say of it.

import type { DayTime, Detail, JsonSchema, Provider, QuietHours, StricterHours } from '../contract.ts'
import { step } from '../json-pointer.ts'
import { treeOf, type Compiling } from './compile.ts'
import { manifestSchema, type Manifest, type QuietHoursSource, type StricterSource } from './manifest.ts'
import { known, type Report } from './report.ts'
import { durationMs } from './units.ts'

const OFF = 'off'
const DAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun']
const AT = { time_zone: '/customer/time_zone', phone: '/customer/phone', country: '/customer/country' }

/** Faults are pushed to `compiling.faults`; `options` are the platform's, with their defaults. */
export function compileQuietHours ({ quiet_hours: source }: Manifest, options: Record<string, unknown>, compiling: Compiling): QuietHours | null {
  if (source === undefined) return null
  const { time_zone: timeZone, phone, country } = { ...AT, ...source.at }
  const platform = timeOf(options[source.hours.option])
  const fallback = zoneOf(options[source.zone.option])
  return {
    kinds: settings => source.every_kind !== undefined && settings[source.every_kind] === true ? ['marketing', 'transactional'] : source.kinds,
    hours (settings) {
      const own = source.hours.setting === undefined ? null : timeOf(settings[source.hours.setting])
      const all = [platform, own].filter(time => time !== null)
      return all.length === 0 ? null : all
    },
    zone: settings => (source.zone.setting === undefined ? null : zoneOf(settings[source.zone.setting])) ?? fallback,
    stricter: stricterOf(source, compiling),
    stopBeforeMs: durationMs(source.stop_before),
    at: { timeZone, phone, country }
  }
}

/** What no JSON Schema says of the settings about quiet hours. */
export function quietHoursFaults ({ quiet_hours: source }: Manifest): Provider['settingsFaults'] {
  if (source === undefined) return () => []
  const { hours, zone } = source
  return settings => [
    ...textAt(settings, hours.setting).flatMap(([name, text]): Detail[] => isTime(text) && text !== OFF ? [] : [{ path: `/settings${step(name)}`, rule: 'hours', message: 'must be times of a day, the earlier one first, such as 09:00-20:00', got: text.slice(0, 60) }]),
    ...textAt(settings, zone.setting).flatMap(([name, text]): Detail[] => isZone(text) ? [] : [{ path: `/settings${step(name)}`, rule: 'time_zone', message: 'must be a time zone of the IANA database, such as America/New_York', got: text.slice(0, 60) }])
  ]
}

/** Names in the manifest that must lead somewhere. */
export function checkQuietHours ({ quiet_hours: source, options, settings }: Manifest, report: Report): void {
  if (source === undefined) return
  const has = (name: string | undefined, among: object, what: string, at: string): void => {
    if (name !== undefined && !Object.hasOwn(among, name)) report(at, `no ${what} "${name}"`, known(among))
  }
  for (const part of ['hours', 'zone'] as const) {
    has(source[part].option, options, 'option', `/quiet_hours/${part}/option`)
    has(source[part].setting, settings, 'setting', `/quiet_hours/${part}/setting`)
  }
  has(source.every_kind, settings, 'setting', '/quiet_hours/every_kind')
}

/** The same of what the platform chose; `report` places below the config's options. */
export function optionFaults ({ quiet_hours: source, options }: Manifest, chosen: Record<string, unknown>, report: (option: string, message: string, fix: string) => void): void {
  if (source === undefined) return
  const value = (name: string): unknown => Object.hasOwn(chosen, name) ? chosen[name] : options[name]?.['default']
  const [hours, zone] = [value(source.hours.option), value(source.zone.option)]
  if (typeof hours === 'string' && !isTime(hours)) report(source.hours.option, `"${hours.slice(0, 60)}" is no part of a day`, 'Write the earlier time first, such as "08:00-21:00", or off.')
  if (typeof zone === 'string' && zone !== '' && !isZone(zone)) report(source.zone.option, `"${zone.slice(0, 60)}" is no time zone`, 'Write a name of the IANA database, such as America/New_York.')
}

function textAt (settings: Record<string, unknown>, name: string | undefined): Array<[name: string, text: string]> {
  const text = name !== undefined && Object.hasOwn(settings, name) ? settings[name] : ''
  return name !== undefined && typeof text === 'string' && text !== '' ? [[name, text]] : []
}

function stricterOf ({ stricter = [] }: QuietHoursSource, compiling: Compiling): StricterHours[] {
  const tree = treeOf(stricter, '/quiet_hours/stricter', compiling)
  if (tree === null) return []
  if (tree.file !== compiling.file) {
    const { $defs } = manifestSchema() as { $defs: Record<string, JsonSchema> }
    const faults = compiling.files.check(tree.file, { ...$defs['stricter_hours'], $defs })
    compiling.faults.push(...faults)
    if (faults.length > 0) return []
  }
  return (tree.value as StricterSource[]).map(({ name, country = null, calling = [], days = DAYS, open }, i) => {
    if (open !== 'closed' && !isTime(open)) compiling.faults.push(tree.file.fault('GW_CONFIG_VALUE', `${tree.pointer}/${i}/open`, `"${open}" is no part of a day`, 'Write the earlier time first, such as "08:00-20:00", or closed.'))
    return { name, country, calling, days: days.map(day => DAYS.indexOf(day) + 1), hours: open === 'closed' ? null : timeOf(open) }
  })
}

/** Null for "", "off", and what is none. */
function timeOf (text: unknown): DayTime | null {
  const times = typeof text === 'string' ? /^(\d\d):(\d\d)-(\d\d):(\d\d)$/.exec(text)?.slice(1).map(Number) : undefined
  if (times === undefined) return null
  const [fromH = 0, fromM = 0, untilH = 0, untilM = 0] = times
  const [from, until] = [fromH * 60 + fromM, untilH * 60 + untilM]
  return from < until && until <= 1440 && fromM < 60 && untilM < 60 ? { from, until } : null
}

function isTime (text: string): boolean { return text === OFF || timeOf(text) !== null }

function zoneOf (text: unknown): string | null { return typeof text === 'string' && text !== '' && isZone(text) ? text : null }

function isZone (text: string): boolean {
  try {
    void new Intl.DateTimeFormat('en', { timeZone: text })
    return /^[a-z][!-~]*$/i.test(text) // a fixed offset keeps no summer time
  } catch {
    return false
  }
}
