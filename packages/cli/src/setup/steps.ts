import type { Step } from './job.js'
import { agentStep } from './steps/agent.js'
import { heldStep } from './steps/held.js'
import { hostStep } from './steps/host.js'
import { keyStep } from './steps/key.js'
import { loginStep } from './steps/login.js'
import { serverStep } from './steps/server.js'
import { sessionStep } from './steps/session.js'
import { tunnelStep } from './steps/tunnel.js'

/** The whole way, in its order; `--undo` goes it backwards. */
export const steps: readonly Step[] = [
  keyStep,
  loginStep,
  agentStep,
  heldStep,
  hostStep,
  serverStep,
  sessionStep,
  tunnelStep,
]
