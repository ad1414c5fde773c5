// Certificates for 127.0.0.1, made with the openssl command: one that is good, and those that must not be trusted.

import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { tempDir, type Teardown } from './tmp.ts'

/** PEM texts. All of them belong to the one key. */
export interface Certificates { ca: string, key: string, good: string, expired: string, wrongHost: string, selfSigned: string }

export const NO_CERTIFICATES = 'no certificates could be made: the openssl command is missing or too old'

/** Null where the command is missing or too old; under CI that is an error, so that nothing is left out unseen. */
export function certificates (t: Teardown): Certificates | null {
  const dir = tempDir(t)
  const run = (...args: string[]) => { execFileSync('openssl', args, { cwd: dir, stdio: 'ignore' }) }
  const sign = (name: string, san: string, days: number) => {
    run('req', '-new', '-key', 'key.pem', '-subj', '/CN=test', '-addext', `subjectAltName=${san}`, '-out', `${name}.csr`)
    run('x509', '-req', '-in', `${name}.csr`, '-CA', 'ca.pem', '-CAkey', 'key.pem', '-copy_extensions', 'copy', '-out', `${name}.pem`, '-days', String(days))
  }
  const read = (name: string) => readFileSync(join(dir, `${name}.pem`), 'utf8')
  try {
    run('ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', 'key.pem')
    run('req', '-x509', '-new', '-key', 'key.pem', '-subj', '/CN=test ca', '-days', '2', '-out', 'ca.pem')
    run('req', '-x509', '-new', '-key', 'key.pem', '-subj', '/CN=self', '-addext', 'subjectAltName=IP:127.0.0.1', '-days', '2', '-out', 'selfSigned.pem')
    sign('good', 'IP:127.0.0.1', 2)
    sign('wrongHost', 'DNS:other.example', 2)
    sign('expired', 'IP:127.0.0.1', -1)
  } catch (error) {
    if (process.env.CI) throw new Error(NO_CERTIFICATES, { cause: error })
    return null
  }
  return { ca: read('ca'), key: read('key'), good: read('good'), expired: read('expired'), wrongHost: read('wrongHost'), selfSigned: read('selfSigned') }
}

/** Trusts their authority until the test ends. */
export function trusting (t: Teardown, made: Certificates | null): Certificates {
  if (made === null) throw new Error(NO_CERTIFICATES)
  const before = getCACertificates()
  setDefaultCACertificates([...before, made.ca])
  t.teardown(() => { setDefaultCACertificates(before) })
  return made
}
