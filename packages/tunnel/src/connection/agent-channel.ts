import type { Duplex } from 'node:stream'
import { finished, pipeline } from 'node:stream'
import type { RawChannel } from './channel.js'

/** What of the engine decides about channels that the server opens. */
export interface OpeningEngine {
  /** Whether a session asked for the agent. */
  readonly _agentFwdEnabled: boolean
  /** How many sessions asked for X11: none here. */
  _acceptX11: number
  readonly _protocol: {
    readonly _handlers: { CHANNEL_OPEN: (protocol: unknown, info: { readonly type: string }) => void }
  }
  on(event: 'x11', listener: (info: unknown, accept: () => RawChannel, reject: () => void) => void): unknown
}

/** Agent connections of a far host at once. ssh has no such limit; programs that ask an agent use one each. */
const MAX_CHANNELS = 64

/**
 * Carries what reaches the agent's socket on the far host (auth-agent@openssh.com, draft-ietf-sshm-ssh-agent) to the
 * agent here. The engine would join the two in a way that ends the process when either breaks. It hands on to us only
 * what it takes for X11, which nobody asks for here; so an agent's channel is shown to it as one of those.
 * @param openAgent a new connection to the agent
 */
export function carryAgent(
  engine: OpeningEngine,
  openAgent: () => Promise<Duplex>,
  adopt: (channel: RawChannel) => Duplex,
): void {
  const { _handlers: handlers } = engine._protocol
  const { CHANNEL_OPEN: open } = handlers
  let channels = 0
  handlers.CHANNEL_OPEN = (protocol, info) => {
    if (info.type !== 'auth-agent@openssh.com' || !engine._agentFwdEnabled || channels >= MAX_CHANNELS) {
      open(protocol, info.type === 'auth-agent@openssh.com' ? { ...info, type: 'no agent' } : info)
      return
    }
    engine._acceptX11 = 1
    try {
      open(protocol, { ...info, type: 'x11' })
    } finally {
      engine._acceptX11 = 0
    }
  }
  engine.on('x11', (_info, accept, reject) => {
    channels++
    const over = () => channels--
    openAgent().then(
      agent => join(agent, accept, adopt, over),
      () => {
        over()
        reject()
      },
    )
  })
}

function join(agent: Duplex, accept: () => RawChannel, adopt: (channel: RawChannel) => Duplex, over: () => void): void {
  agent.on('error', () => {})
  try {
    const raw = accept()
    raw.stderr.on('error', () => {})
    const channel = adopt(raw)
    finished(channel, over)
    pipeline(agent, channel, agent, () => {})
  } catch {
    over()
    agent.destroy()
  }
}
