// Values for what the examples take from the environment: of the form that .env.example shows, and random.

import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from './sources.ts'

/** Each variable of .env.example that must be given. What a test needs otherwise it replaces. */
export function exampleEnvironment (): Record<string, string> {
  const samples = readFileSync(join(ROOT, 'config/examples/.env.example'), 'utf8').matchAll(/^([A-Z][A-Z0-9_]*)=<(.*)>/gm)
  return Object.fromEntries([...samples].map(([, name = '', sample = '']) => [name, fitting(sample)]))
}

function fitting (sample: string): string {
  if (sample.startsWith('https')) return 'https://sms.example.com'
  if (sample.startsWith('postgres')) return `postgres://gateway:${randomBytes(16).toString('hex')}@db.example.com:5432/gateway`
  return sample.includes('…') ? sample.replace('…', randomBytes(16).toString('hex')) : randomBytes(32).toString('base64url')
}
