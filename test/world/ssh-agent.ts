import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Environment, Home } from './home.js'
import { peerPath } from './peers.js'
import { start } from './start.js'

export interface SshAgent {
  readonly socket: string
  /** The home's environment with SSH_AUTH_SOCK. */
  readonly env: Environment
  stop(): Promise<void>
}

/** Starts OpenSSH's agent on a socket in the home's runtime folder: to compare with ours. */
export async function startSshAgent(home: Home): Promise<SshAgent> {
  const socket = join(home.runtime, 'openssh-agent.sock')
  // One that was killed leaves its socket, and the next one would not take the place.
  await rm(socket, { force: true })
  const agent = await start(peerPath('ssh-agent'), ['-D', '-a', socket], { env: home.env })
  // It prints its SSH_AUTH_SOCK line once it listens.
  await agent.waitFor(/SSH_AUTH_SOCK=/)
  return {
    socket,
    env: { ...home.env, SSH_AUTH_SOCK: socket },
    async stop() {
      await agent.stop()
    },
  }
}
