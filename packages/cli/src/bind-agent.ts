import type { AgentClient } from '@keytool/agent'
import type { HostProof } from '@keytool/tunnel'

/** In milliseconds: an agent asks nobody about a binding, so one that takes longer hangs. */
const PATIENCE = 5_000

/**
 * Tells the agent which host it is going to sign for (`session-bind@openssh.com`). One that does not know sessions signs all
 * the same; one that says no to this says no to the signature, too.
 * @returns whether it answers: of one that does not, nothing more can be had
 */
export async function bindAgent(agent: AgentClient, proof: HostProof): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const silent = new Promise<boolean>(resolve => {
    timer = setTimeout(() => resolve(false), PATIENCE)
  })
  const answered = agent.bind({ ...proof, forwarding: false }).then(
    () => true,
    () => true,
  )
  return Promise.race([answered, silent]).finally(() => clearTimeout(timer))
}
