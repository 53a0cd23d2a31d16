import type { Context } from '../context.js'
import { Say } from '../say.js'

/** The same context for work whose own words are not wanted: setup says it in one line. Errors are thrown as ever. */
export function muted(context: Context): Context {
  const { name, env, places } = context
  const say = new Say({ name, home: places.home, stdout: process.stdout, stderr: process.stderr, env })
  say.configure({ quiet: true })
  return Object.create(context, { say: { value: say, enumerable: true } }) as Context
}

/** The same context in which our own agent is the one to ask, whatever this shell has. */
export function askingOurs(context: Context): Context {
  const env = { ...context.env, SSH_AUTH_SOCK: context.places.agentSocket }
  return Object.create(context, { env: { value: env, enumerable: true } }) as Context
}
