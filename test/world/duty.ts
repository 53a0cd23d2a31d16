import { spawn } from 'node:child_process'
import { once } from 'node:events'

export interface Duty {
  /** Does it now. Resolves with the script's exit status. */
  perform(): Promise<number | null>
  /** Lets it be: there is nothing left to do. */
  cancel(): void
}

/**
 * Leaves a duty with a small process: a shell script that runs when this process ends, in whatever way, SIGKILL
 * included: the shell waits at the end of a pipe whose other end is here. (Jest's sandbox has no `exit` event to use
 * instead.)
 * @param args become the script's `$1`, `$2`, …
 */
export function leaveDuty(script: string, ...args: string[]): Duty {
  const shell = spawn('/bin/sh', ['-c', `cat >/dev/null; ${script}`, 'duty', ...args], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
  })
  const ended = once(shell, 'exit')
  shell.stdin.on('error', () => {})
  shell.unref()
  return {
    async perform() {
      shell.ref()
      shell.stdin.end()
      const [status] = await ended
      return status
    },
    cancel() {
      shell.kill('SIGKILL')
      shell.stdin.destroy()
    },
  }
}
