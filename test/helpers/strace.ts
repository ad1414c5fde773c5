// What a process asks of the kernel, in order, as strace tells it.

import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'

/** Whether processes can be traced here: containers may forbid it. */
export const hasStrace = process.platform === 'linux' && spawnSync('strace', ['-o', '/dev/null', 'true']).status === 0

/** One line of strace's output: a call that began, ended, or both. `text` has the arguments, file names included. */
export interface Traced { thread: string, call: string, text: string, began: boolean, result: string | null }

/** `12 write(5</x>, "a", 1) = 1`, `12 fsync(5</x> <unfinished ...>`, `12 <... fsync resumed>) = 0`; null for what is none of them. */
export function traced (line: string): Traced | null {
  const resumed = /^(\d+) +<\.\.\. (\w+) resumed>(.*)$/s.exec(line)
  const [, thread, call, text] = resumed ?? /^(\d+) +(\w+)\((.*)$/s.exec(line) ?? []
  if (thread === undefined || call === undefined || text === undefined) return null
  return { thread, call, text, began: resumed === null, result: text.endsWith('<unfinished ...>') ? null : /.*= (.+)$/s.exec(text)?.[1] ?? '' }
}

/** Follows a process and all its threads; resolves when it is attached. `stop` resolves when the last line was told. */
export async function follow (pid: number, calls: readonly string[], onLine: (line: Traced) => void): Promise<{ stop (): Promise<void> }> {
  const args = ['-f', '-y', '-s', '4096', '-e', 'signal=none', '-e', `trace=${calls.join(',')}`, '-o', '|cat', '-p', String(pid)]
  const child = spawn('strace', args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const told = once(child, 'close')
  createInterface({ input: child.stdout }).on('line', line => {
    const one = traced(line)
    if (one) onLine(one)
  })
  let said = ''
  await new Promise<void>((resolve, reject) => {
    child.stderr.on('data', (chunk: Buffer) => {
      said += chunk.toString()
      if (said.includes(' attached')) resolve()
    })
    void told.then(() => { reject(new Error(`strace ended: ${said}`)) })
  })
  return {
    async stop () {
      child.kill('SIGINT')
      await told
    }
  }
}

/** A command in front of a program that makes its nth call fail, and writes what it did to the file. */
export function failingCall (call: string, nth: number, file: string): string[] {
  return ['strace', '-D', '-f', '-qq', '-y', '-s', '100', '-e', 'signal=none', '-e', `trace=${call},fsync,write,writev`, '-e', `inject=${call}:error=EIO:when=${nth}`, '-o', file]
}
