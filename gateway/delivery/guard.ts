// Which addresses a request may reach. Checked on the address that is connected to, after the names are resolved,
// so that a name that changes its mind, or an address in disguise, gets nowhere.

import { lookup, type LookupAddress, type LookupOptions } from 'node:dns'
import { BlockList, isIP, isIPv6 } from 'node:net'

const PRIVATE: Array<[string, number, 'ipv4' | 'ipv6']> = [
  ['0.0.0.0', 8, 'ipv4'], ['10.0.0.0', 8, 'ipv4'], ['100.64.0.0', 10, 'ipv4'], ['127.0.0.0', 8, 'ipv4'],
  ['169.254.0.0', 16, 'ipv4'], ['172.16.0.0', 12, 'ipv4'], ['192.0.0.0', 24, 'ipv4'], ['192.0.2.0', 24, 'ipv4'],
  ['192.88.99.0', 24, 'ipv4'],
  ['192.168.0.0', 16, 'ipv4'], ['198.18.0.0', 15, 'ipv4'], ['198.51.100.0', 24, 'ipv4'], ['203.0.113.0', 24, 'ipv4'],
  ['224.0.0.0', 4, 'ipv4'], ['240.0.0.0', 4, 'ipv4'],
  ['::', 96, 'ipv6'], ['64:ff9b::', 96, 'ipv6'], ['64:ff9b:1::', 48, 'ipv6'], ['100::', 64, 'ipv6'], ['2001::', 23, 'ipv6'],
  ['2001:db8::', 32, 'ipv6'], ['2002::', 16, 'ipv6'], ['3fff::', 20, 'ipv6'], ['fc00::', 7, 'ipv6'], ['fe80::', 10, 'ipv6'],
  ['fec0::', 10, 'ipv6'], ['ff00::', 8, 'ipv6']
]

const blocked = new BlockList()
for (const [network, prefix, family] of PRIVATE) blocked.addSubnet(network, prefix, family)

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8, 'ipv4')
loopback.addAddress('::1', 'ipv6')

export class AddressRefused extends Error {
  readonly code = 'ADDRESS_REFUSED'
}

/** True for an address of the public internet; false for private, local, documentation and translated ones. */
export function isPublic (address: string): boolean {
  const plain = address.split('%')[0] as string
  const family = isIP(plain)
  return family !== 0 && !blocked.check(plain, family === 6 ? 'ipv6' : 'ipv4')
}

export function isLoopback (address: string): boolean {
  const family = isIP(address)
  return family !== 0 && loopback.check(address, family === 6 ? 'ipv6' : 'ipv4')
}

/** Whether a host written in a URL, which never meets the look-up when it is a literal, may be connected to. */
export function allowsHost (host: string, allowed: (address: string) => boolean): boolean {
  const bare = host.startsWith('[') ? host.slice(1, -1) : host
  return isIP(bare) === 0 || allowed(bare)
}

type Callback = (error: Error | null, address: string | LookupAddress[], family?: number) => void

/** Looks a name up, as `dns.lookup` does with `all`. */
export type Resolve = (host: string, options: LookupOptions & { all: true }, callback: (error: Error | null, addresses: LookupAddress[]) => void) => void

/** A `lookup` for connectors that fails when any of the answers is not allowed. */
export function guardedLookup (allowed: (address: string) => boolean, resolve: Resolve = lookup) {
  return (host: string, options: LookupOptions, callback: Callback): void => {
    resolve(host, { ...options, all: true }, (error, addresses) => {
      if (error) { callback(error, []); return }
      const bad = addresses.find(({ address }) => !allowed(address))
      if (bad) { callback(new AddressRefused(`${host} resolves to ${bad.address}, which is not a public address`), []); return }
      const [first] = addresses
      if (!first) { callback(new AddressRefused(`${host} has no address`), []); return } // `net` throws at an empty list, where nobody can catch it
      if (options.all) { callback(null, addresses); return }
      callback(null, first.address, isIPv6(first.address) ? 6 : 4)
    })
  }
}
