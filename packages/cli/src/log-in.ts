import { isKeytoolError, KeytoolError } from '@keytool/keygen'
import type { Connection } from '@keytool/tunnel'
import type { Context } from './context.js'
import { logInAt } from './log-in-at.js'
import type { LogInOptions } from './log-in-options.js'
import { type Destination, showDestination } from './reach.js'
import { continueThrough, startWay, type Way } from './way.js'

/**
 * Reaches the host and logs in, with a signature for each host on the way.
 * @throws KeytoolError as `connect` does; `not-found` for a key of which only the public half is here
 */
export async function logIn(
  destination: Destination,
  options: LogInOptions,
  signal: AbortSignal | undefined,
  context: Context,
): Promise<Connection> {
  const way = await openWay(destination, options, signal, context)
  try {
    return await step(destination, way, options, signal, context)
  } catch (error) {
    await way.close()
    throw error
  }
}

/** The way to the host, through those before it. What the options say about the login is about the last host alone. */
export async function openWay(
  { hops, ...destination }: Destination,
  options: LogInOptions,
  signal: AbortSignal | undefined,
  context: Context,
): Promise<Way> {
  const { verbose = false, dialTime, tellsBanner = false } = options
  let way = startWay(hops[0] ?? { ...destination, hops }, dialTime, context)
  try {
    for (const hop of hops) {
      const connection = await step(hop, way, { verbose, tellsBanner }, signal, context).catch(error => {
        throw asOfHop(error, hop, context)
      })
      way = continueThrough(connection, hop, dialTime)
    }
    return way
  } catch (error) {
    await way.close()
    throw error
  }
}

/** `--host-key` on the command line is about the last host: one on the way is met by itself first. */
function asOfHop(error: unknown, { port, user, typed }: Destination, { name, say }: Context): unknown {
  if (!isKeytoolError(error) || error.code !== 'host-key-unknown' || !error.hint?.includes('--host-key')) return error
  const { code, message, reason } = error
  const at = `${port === 22 ? '' : `-p ${port} `}${say.word(`${user}@${typed}`)}`
  return new KeytoolError(code, message, {
    ...(reason !== undefined && { reason }),
    hint: `it is on the way, and has to be known first: ${name} connect ${at}`,
    cause: error,
  })
}

async function step(
  destination: Destination,
  way: Way,
  options: LogInOptions,
  signal: AbortSignal | undefined,
  context: Context,
): Promise<Connection> {
  if (options.verbose) tellSettings(destination, context)
  const connection = await logInAt(destination, way, options, signal, context)
  // Whoever closes the last one closes all.
  connection.closed.then(() => way.close())
  if (options.verbose)
    context.say.note(`logged in at ${showDestination(destination)} by ${connection.admission.method}`)
  return connection
}

function tellSettings({ settings, proxyCommand, ...destination }: Destination, { say }: Context): void {
  for (const file of settings.files) say.note(`settings from ${file}`)
  if (settings.gatewayPorts) say.note('left out: gatewayports; a forward that is to let others in names its address')
  for (const { keyword, file, line } of settings.ignored) say.note(`left out: ${keyword} (${file} line ${line})`)
  say.note(
    `${proxyCommand === undefined ? 'connecting' : 'connecting by a program'} to ${showDestination(destination)}`,
  )
}
