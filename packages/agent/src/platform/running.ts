import { readFileSync } from 'node:fs'

/**
 * Whether a process of ours runs. One that has ended but that nobody has asked about yet (a zombie, which a container
 * without an init collects) does not, where the system lets us see the difference.
 */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
  return process.platform !== 'linux' || fieldsOf(pid)?.[STATE] !== 'Z'
}

/**
 * When a process began, in a form that only this process can have: two with one number, before and after it was given
 * away or the machine started anew, differ. To be compared, not read. It is the kernel's count rather than a time, since
 * setting the clock would shift that. Undefined where the system does not tell, and for a process that is gone.
 */
export function startOf(pid: number): string | undefined {
  const ticks = process.platform === 'linux' ? fieldsOf(pid)?.[START] : undefined
  const boot = ticks === undefined ? undefined : read('/proc/sys/kernel/random/boot_id')?.trim()
  return boot === undefined ? undefined : `${boot} ${ticks}`
}

/** Positions in proc(5)'s list, counted from the field behind the program's name. */
const STATE = 0
const START = 19

/** The name may itself hold spaces and parentheses (proc(5)), so the fields are counted from its end. */
function fieldsOf(pid: number): string[] | undefined {
  const stat = read(`/proc/${pid}/stat`)
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return undefined
  }
}
