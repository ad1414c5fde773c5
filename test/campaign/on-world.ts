// A gateway and its stand-in for as long as something is done with them, and nothing of them afterwards, however that ends.

import { startWorld, type World } from '../e2e/world.ts'
import type { GatewayProcess } from '../helpers/gateway-process.ts'
import { type StandIn, type StandInOptions, startStandIn } from '../helpers/stand-in.ts'

export async function onWorld<T> (world: Omit<World, 'standIn'>, playing: StandInOptions, act: (gateway: GatewayProcess, standIn: StandIn) => Promise<T>): Promise<T> {
  const standIn = await startStandIn(playing)
  let gateway: GatewayProcess | null = null
  try {
    gateway = await startWorld({ ...world, standIn })
    return await act(gateway, standIn)
  } finally {
    await gateway?.kill('SIGKILL')
    await standIn.close()
  }
}
