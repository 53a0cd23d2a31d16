import type { Duplex } from 'node:stream'
import type { AgentClient } from '@keytool/agent'
import { isKeytoolError, KeytoolError, type Signer } from '@keytool/keygen'
import {
  type AskPassword,
  type Connection,
  connect,
  greetingIn,
  type HostProof,
  type Observed,
  watchStream,
} from '@keytool/tunnel'
import type { Context } from '../../context.js'
import { connectOptions } from '../../log-in-at.js'
import type { Way } from '../../way.js'
import { AgentInQuestion, useOf, watchSigner } from './keys.js'
import type { Stop } from './stop.js'

/** What is offered. */
export interface Offer {
  readonly keys: (agent: AgentClient | undefined) => Promise<readonly Signer[]>
  readonly askPassword?: AskPassword
  /** `--host-key`. */
  readonly hostKey?: string
}

/** One attempt to get in, and what was seen of it. */
export interface Attempt {
  readonly seen: Observed
  /** What the host proved, once it did. */
  readonly proof?: HostProof
  /** The key of a host that nobody knows yet. */
  readonly unknownHost?: string
  /** Why no agent answers. */
  readonly agentTrouble?: string
  /** The user is in: whoever asked closes it. */
  readonly connection?: Connection
}

/**
 * Tries to get in once, and watches. Nothing is written: no host key, no rotation.
 * @throws KeytoolError `cancelled` alone
 */
export async function attempt(
  { destination, isLast }: Stop,
  way: Way,
  by: Observed['by'],
  offer: Offer,
  context: Context,
): Promise<Attempt> {
  const agent = new AgentInQuestion(destination, context)
  let proof: HostProof | undefined
  let unknownHost: string | undefined
  const told = () => ({
    ...(proof && { proof }),
    ...(unknownHost !== undefined && { unknownHost }),
    ...(agent.trouble !== undefined && { agentTrouble: agent.trouble }),
  })
  const seen: Observed = { by, dialled: false, heard: '', closedThere: false, proved: false, usesKeys: true }
  try {
    const { hostKey } = offer
    const { hosts, methods, ...common } = connectOptions(
      destination,
      { dryRun: true, ...(isLast && hostKey !== undefined && { hostKey }) },
      context,
    )
    seen.usesKeys = methods.includes('publickey')
    const askNobody = async (unknown: { fingerprint: string }) => {
      unknownHost = unknown.fingerprint
      return false
    }
    const connection = await connect({
      ...common,
      methods,
      // A host that nobody knows is an answer here, not a question.
      hosts: { ...hosts, confirmHost: isLast && hostKey !== undefined ? hosts.confirmHost : askNobody },
      updateHostKeys: false,
      ...(context.leaving && { signal: context.leaving }),
      dial: async where => {
        const stream = watchStream(await way.dial(where), seen)
        seen.dialled = true
        limitSilence(stream, seen, destination.settings.connectTimeout)
        return stream
      },
      async onBinding(found) {
        proof = found
        seen.proved = true
        await agent.open(found)
      },
      async signers() {
        seen.agent = await agent.state()
        try {
          const signers = await offer.keys(agent.client)
          const uses = signers.map(useOf)
          seen.keys = uses
          return signers.map((signer, i) => watchSigner(signer, uses[i] ?? useOf(signer)))
        } catch (error) {
          if (isKeytoolError(error)) seen.keysError = error
          throw error
        }
      },
      askPassword: offer.askPassword,
    })
    return { seen, ...told(), connection }
  } catch (error) {
    if (!isKeytoolError(error) || error.code === 'cancelled') throw error
    seen.error = error
    return { seen, ...told() }
  } finally {
    agent.close()
  }
}

/** As with ssh, ConnectTimeout goes for the greeting, too. In seconds. */
function limitSilence(stream: Duplex, seen: Observed, seconds: number | undefined): void {
  if (seconds === undefined) return
  const timer = setTimeout(() => {
    if (greetingIn(seen) !== undefined) return
    stream.destroy(new KeytoolError('unreachable', `no greeting came within ${seconds} s`))
  }, seconds * 1000)
  stream.once('close', () => clearTimeout(timer))
}
