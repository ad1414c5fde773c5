import type { Io } from './command.ts'

/** From the first signal to the end of the process, whatever still runs. */
const STOP_WITHIN_MS = 30_000

/** Fulfilled by the first SIGTERM or SIGINT; later ones cut nothing short. Not stopped in time, the process ends with 1. */
export function stopSignal (io: Io): Promise<void> {
  let stopping = false
  return new Promise(resolve => {
    const stop = (): void => {
      if (stopping) return
      stopping = true
      void io.sleep(STOP_WITHIN_MS).then(() => {
        io.stderr.write(`error: not stopped within ${STOP_WITHIN_MS / 1000} seconds\n`)
        io.exit(1)
      })
      resolve()
    }
    io.on('SIGTERM', stop)
    io.on('SIGINT', stop)
  })
}
