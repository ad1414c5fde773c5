// A disk whose power can be cut: ext4 in a file, mounted by a loop device. At a cut, what was not synced is gone, as the
// kernel's own file system tests do it. Needs root, Linux and loop devices.

import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const PREFIX = 'gateway-power-'
const SIZE_BYTES = 1024 * 1024 * 1024
/** EXT4_IOC_SHUTDOWN with the flag "do not write the log back". */
const SHUTDOWN = 'my $flags = pack("I", 2); open(my $disk, "<", $ARGV[0]) or die $!; defined ioctl($disk, 0x8004587d, $flags) or die $!'

const disks = new Set<PowerDisk>()
process.on('exit', () => { for (const disk of disks) disk.remove() })

export class PowerDisk {
  /** Where it is mounted. */
  readonly path: string
  #dir: string

  constructor () {
    removeLeftovers()
    this.#dir = mkdtempSync(join(tmpdir(), `${PREFIX}${process.pid}-`))
    this.path = join(this.#dir, 'disk')
    mkdirSync(this.path)
    writeFileSync(this.#image, '')
    truncateSync(this.#image, SIZE_BYTES)
    disks.add(this)
    must('mkfs.ext4', '-q', '-m', '0', this.#image)
    this.#mount()
  }

  get #image (): string { return join(this.#dir, 'image') }

  #mount (): void { must('mount', '-o', 'loop', this.#image, this.path) }

  /** From now on nothing is written any more; every call on it fails. */
  cut (): void { must('perl', '-e', SHUTDOWN, this.path) }

  /** The power is back: the journal is replayed. Nobody may have a file of it open. */
  restore (): void {
    must('umount', this.path)
    this.#mount()
  }

  remove (): void {
    disks.delete(this)
    discard(this.#dir)
  }
}

/** Why there can be none here; null where it can. */
export function whyNoPowerDisk (): string | null {
  if (process.platform !== 'linux') return 'loop devices and the shutdown of ext4 are Linux\'s'
  if (process.getuid?.() !== 0) return 'mounting needs root'
  try {
    const disk = new PowerDisk()
    disk.cut()
    disk.restore()
    disk.remove()
    return null
  } catch (error) {
    return (error as Error).message
  }
}

function must (command: string, ...args: string[]): void {
  const { status, stderr, error } = spawnSync(command, args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`${command} ${args.at(-1)}: ${error?.message ?? stderr.trim()}`)
}

function discard (dir: string): void {
  spawnSync('umount', ['-l', join(dir, 'disk')])
  rmSync(dir, { recursive: true, force: true })
}

/** Of a process that was killed before it could clean up. */
function removeLeftovers (): void {
  for (const name of readdirSync(tmpdir())) {
    const pid = new RegExp(`^${PREFIX}(\\d+)-`).exec(name)?.[1]
    if (pid !== undefined && !isAlive(pid)) discard(join(tmpdir(), name))
  }
}

function isAlive (pid: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8') !== ''
  } catch {
    return false
  }
}
