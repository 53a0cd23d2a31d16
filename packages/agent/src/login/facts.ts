import { userInfo } from 'node:os'
import { nodeArguments } from '../platform/node-arguments.js'
import type { Environment, Places } from '../platform/places.js'
import type { LoginFacts } from './service.js'

/** What a login service of this process's user depends on. `program`: keytool's file, links resolved. */
export function loginFacts(program: string, places: Places, env: Environment): LoginFacts {
  const { platform: system, execPath: node } = process
  const uid = process.getuid?.()
  return {
    system,
    node,
    nodeArguments: nodeArguments(),
    program,
    home: places.home,
    state: places.state,
    socket: places.agentSocket,
    env,
    ...(uid !== undefined && { uid }),
    user: nameOf(env),
  }
}

function nameOf(env: Environment): string {
  const { USERDOMAIN: domain, USERNAME: name } = env
  if (domain && name) return `${domain}\\${name}`
  try {
    return userInfo().username
  } catch {
    // No entry in the list of users: only Windows asks for the name, and has one.
    return ''
  }
}
