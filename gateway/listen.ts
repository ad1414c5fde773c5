// What the process says of its address, and of what it cannot change while it runs.

import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Config, Fault } from './contract.ts'
import { GatewayError } from './errors.ts'
import type { Loaded } from './load.ts'

/** Whether messages go to the sandbox or to the real providers does not change while it runs. */
export function modeFaults ({ config, files }: Loaded, { sandbox: now }: Config): Fault[] {
  const changed = (['enabled', 'url'] as const).filter(key => config.sandbox[key] !== now[key])
  if (changed.length === 0) return []
  const { file, faults } = files.read(config.file, { substitute: true })
  return file === null ? faults : changed.map(key => file.fault('GW_CONFIG_VALUE', `/sandbox/${key}`, 'whether messages go to the sandbox or to the real providers does not change while it runs', 'Start the gateway anew, or leave it as it was started.'))
}

export function urlOf (server: Server): string {
  const { address, port, family } = server.address() as AddressInfo
  const host = address === '0.0.0.0' || address === '::' ? 'localhost' : family === 'IPv6' ? `[${address}]` : address
  return `http://${host}:${port}`
}

export function listenError (error: NodeJS.ErrnoException, port: number, variable: string): Error {
  if (error.code !== 'EADDRINUSE' && error.code !== 'EACCES') return error
  return new GatewayError('GW_LISTEN', `Port ${port} ${error.code === 'EACCES' ? 'may not be used by this user' : 'is in use'}; in the shipped config ${variable} sets it.`, { cause: error })
}
