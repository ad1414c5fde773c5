// The form of a shop's secrets, where a set-up step says one: a key of another kind is told apart before it is used.

import type { Provider } from '../contract.ts'
import type { Manifest } from './manifest.ts'
import { step } from '../json-pointer.ts'

interface Field { label: string, hint?: string, example?: string, pattern?: string }
interface Form { way: string, name: string, fits: RegExp, message: string }

/** Compiles the patterns of the fields that set-up steps ask for; the manifest's schema lets only regular expressions through. */
export function compileForms ({ auth, setup }: Manifest): Provider['secretFaults'] {
  const first = Object.keys(auth)[0] as string
  const forms = setup.flatMap(({ auth: way = first, fields }) => Object.entries((fields ?? {}) as Record<string, Field>).flatMap(([name, field]) => formOf(way, name, field)))
  return (way, secrets) => forms
    .filter(form => form.way === way && Object.hasOwn(secrets, form.name) && !form.fits.test(secrets[form.name] as string))
    .map(({ name, message }) => ({ path: `/secrets${step(name)}`, rule: 'pattern', message }))
}

function formOf (way: string, name: string, { label, hint, example, pattern }: Field): Form[] {
  if (pattern === undefined) return []
  const like = example === undefined ? '' : `, such as ${example}`
  return [{ way, name, fits: new RegExp(pattern, 'u'), message: hint ?? `${label}: it has another form${like}` }]
}
