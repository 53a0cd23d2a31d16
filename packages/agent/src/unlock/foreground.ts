import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'

/** Milliseconds that `ps` may take. */
const LIMIT = 2000

/**
 * Whether this process may use its terminal. One in the background that tries is stopped by the system, and an agent
 * that is stopped serves nobody.
 */
export async function isInForeground(): Promise<boolean> {
  try {
    if (process.platform === 'linux') return groupIsInFront(await readFile('/proc/self/stat', 'latin1'))
    const { stdout } = await promisify(execFile)('/bin/ps', ['-o', 'pgid=,tpgid=', '-p', String(process.pid)], {
      timeout: LIMIT,
    })
    const [group, front] = stdout.trim().split(/\s+/)
    return group !== undefined && group === front
  } catch {
    return false
  }
}

/** proc_pid_stat(5): fields 5 and 8, the process's group and the one in front on its terminal. */
export function groupIsInFront(stat: string): boolean {
  // The name, in brackets, may hold brackets and blanks of its own.
  const [, , group, , , front] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return group !== undefined && group === front
}
