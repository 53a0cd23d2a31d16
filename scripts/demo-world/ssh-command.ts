import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { ServerChannel } from 'ssh2'
import type { Login } from './ssh-authenticate.js'
import { pour } from './ssh-pour.js'

/** The signals that RFC 4254 section 6.10 has names for. */
const signals = 'ABRT ALRM FPE HUP ILL INT KILL PIPE QUIT SEGV TERM USR1 USR2'.split(' ').map(name => `SIG${name}`)

/** Runs a command by a real shell in the user's home, with the channel as its three streams, and reports how it ended. */
export async function runCommand(channel: ServerChannel, command: string, login: Login): Promise<void> {
  const { user, home } = login
  const env = { HOME: home, USER: user, LOGNAME: user, SHELL: '/bin/sh', PATH: '/usr/local/bin:/usr/bin:/bin' }
  // In a process group of its own, so that all of it can be ended when the client goes away.
  const shell = spawn('/bin/sh', ['-c', command], { cwd: home, env, detached: true })
  const hangUp = () => {
    if (shell.pid !== undefined && shell.exitCode === null && shell.signalCode === null)
      process.kill(-shell.pid, 'SIGHUP')
  }
  channel.once('close', hangUp)
  try {
    // A command that does not read its input is no failure.
    shell.stdin.on('error', () => channel.resume())
    channel.pipe(shell.stdin)
    const ended = once(shell, 'exit')
    await Promise.all([pour(shell.stdout, channel), pour(shell.stderr, channel.stderr, channel)])
    const [status, signal] = await ended
    if (status !== null) channel.exit(status)
    else channel.exit(signals.includes(signal) ? signal : 'SIGKILL')
  } finally {
    channel.off('close', hangUp)
    channel.end()
  }
}
