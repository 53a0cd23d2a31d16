import { agentAtLogin } from '@keytool/agent'
import type { Context } from '../../context.js'
import { takeBack } from '../../login-service.js'
import { checkPlace, type LoginOptions } from './install.js'

/** `agent uninstall`: whatever kinds of ours are there. */
export async function uninstallAtLogin(options: LoginOptions, context: Context): Promise<number> {
  checkPlace(options, context)
  return takeBack('the agent', agentAtLogin, options, context)
}
