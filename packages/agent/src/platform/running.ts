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
  return process.platform !== 'linux' || stateOf(pid) !== 'Z'
}

/** The letter behind the program's name, which may itself hold parentheses (proc(5)). */
function stateOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return stat.slice(stat.lastIndexOf(')') + 2)[0]
  } catch {
    return undefined
  }
}
