import { isKeytoolError, KeytoolError } from '@keytool/keygen'
import {
  askTunnel,
  type Connection,
  type ForwardKind,
  type ForwardSpec,
  findPortOwner,
  formatForward,
  listenHere,
  parseForward,
} from '@keytool/tunnel'
import { askText, askYes, hasTerminal } from '../ask.js'
import { type FoundMail, findMail, forwardsTo } from '../commands/tunnel/mail.js'
import { keyOfSession } from '../commands/tunnel/plan.js'
import type { Context } from '../context.js'
import { checkDistinct } from '../forwards.js'
import { showProgress } from '../progress.js'
import type { SetupFlags } from './options.js'
import type { Place } from './place.js'

/** What is to be forwarded. */
export interface Wish {
  readonly forwards: readonly ForwardSpec[]
  readonly mail: readonly FoundMail[]
}

const kinds: readonly ForwardKind[] = ['local', 'remote', 'dynamic']
/** A port of the mail's that is taken here: this much is added, this often. */
const OFFSET = 1000
const TRIES = 8

/** The forwards that were named, and those that the session has. @throws KeytoolError `usage` */
export function readWish(flags: SetupFlags, { destination: { session } }: Place): ForwardSpec[] {
  const texts = kinds.flatMap(kind =>
    [...(session?.forwards[kind] ?? []), ...(flags[kind] ?? [])].map(text => [kind, text] as const),
  )
  const forwards: ForwardSpec[] = []
  for (const [kind, text] of texts) {
    const spec = parseForward(kind, text)
    const isThere = forwards.some(each => each.kind === kind && formatForward(each) === formatForward(spec))
    if (!isThere) forwards.push(spec)
  }
  checkDistinct(forwards)
  return forwards
}

/**
 * What the server's mail needs, which it is asked for; on a terminal it is offered, and other forwards asked for, where none
 * was named.
 */
export async function completeWish(
  named: readonly ForwardSpec[],
  flags: SetupFlags,
  { name, destination, record }: Place,
  connection: Connection | undefined,
  context: Context,
): Promise<Wish> {
  const { host } = destination
  const isWanted = flags.mail === true || record?.value.mail === true
  if (connection && isWanted) {
    const mail = await lookForMail(connection, host, context)
    return { mail, forwards: await withMail(named, mail, name, context) }
  }
  if (!connection || named.length > 0 || record) return { mail: [], forwards: named }
  const mayAsk = hasTerminal(context)
  if (!mayAsk && !flags.yes) return { mail: [], forwards: named }
  const mail = await lookForMail(connection, host, context).catch(passOverNone)
  if (mail.length > 0) {
    const list = mail.map(({ service }) => `${service.title} (port ${service.port})`).join(' and ')
    const isTaken = flags.yes || (await askYes(`${host} has mail: ${list}. Forward it to this machine?`, context, true))
    if (isTaken) return { mail, forwards: await withMail(named, mail, name, context) }
  }
  return { mail: [], forwards: mayAsk && !flags.yes ? await askForwards(context) : [] }
}

/** Behind a firewall that answers nothing it takes its time. */
async function lookForMail(connection: Connection, host: string, context: Context): Promise<FoundMail[]> {
  const progress = showProgress(`looking for mail at ${host}`, context)
  return findMail(connection, host).finally(() => progress.end())
}

function passOverNone(error: unknown): FoundMail[] {
  if (isKeytoolError(error) && ['unreachable', 'refused'].includes(error.code)) return []
  throw error
}

async function askForwards(context: Context): Promise<ForwardSpec[]> {
  const forwards: ForwardSpec[] = []
  for (;;) {
    const more = forwards.length > 0 ? 'Another forward' : 'Forward, as for ssh -L, such as 8080:localhost:80'
    const answer = (await askText(`${more} (Enter: none)`, context)).trim()
    if (answer === '') return forwards
    try {
      const spec = parseForward('local', answer)
      checkDistinct([...forwards, spec])
      forwards.push(spec)
    } catch (error) {
      if (!isKeytoolError(error)) throw error
      context.say.prompt([error.message, error.reason].filter(Boolean).join(': '))
    }
  }
}

/** On ports that are free here. */
async function withMail(
  named: readonly ForwardSpec[],
  mail: readonly FoundMail[],
  name: string,
  context: Context,
): Promise<ForwardSpec[]> {
  const forwards = [...named]
  const own = await ownPlaces(name, context)
  for (const spec of forwardsTo(mail, named)) forwards.push(await atFreePort(spec, own, context))
  return forwards
}

async function atFreePort(spec: ForwardSpec, own: readonly string[], context: Context): Promise<ForwardSpec> {
  if (spec.kind !== 'local' || 'path' in spec.listen) return spec
  const { port } = spec.listen
  for (let tries = 0; tries < TRIES; tries++) {
    const listen = { port: port + tries * OFFSET }
    if (own.includes(`127.0.0.1:${listen.port}`) || (await isFree({ ...spec, listen }))) {
      if (tries > 0) await tellTaken(port, listen.port, context)
      return { ...spec, listen }
    }
  }
  throw new KeytoolError('failed', `127.0.0.1:${port} is in use, and so are others`, {
    reason: 'nothing was done',
    hint: `name a free port: -L PORT:${formatForward(spec).replace(/^\d+:/, '')}`,
  })
}

async function isFree(spec: ForwardSpec): Promise<boolean> {
  return checkListening(spec).then(
    () => true,
    () => false,
  )
}

async function tellTaken(port: number, other: number, { say }: Context): Promise<void> {
  const owner = await findPortOwner(port, '127.0.0.1')
  const who = owner ? `, held by ${owner.name ?? 'a program'} (pid ${owner.pid})` : ''
  say.note(`127.0.0.1:${port} is in use${who}: ${other} takes its place`)
}

/** Ports that were named are free, or ours already: said before anything is done. @throws KeytoolError `failed` */
export async function checkPorts(forwards: readonly ForwardSpec[], name: string, context: Context): Promise<void> {
  const own = await ownPlaces(name, context)
  for (const spec of forwards) {
    if (spec.kind === 'remote') continue
    const { listen } = spec
    if ('path' in listen ? own.includes(listen.path) : own.some(place => place.endsWith(`:${listen.port}`))) continue
    await checkListening(spec)
  }
}

async function checkListening(spec: ForwardSpec): Promise<void> {
  if (spec.kind === 'remote') return
  const listener = await listenHere(
    spec,
    socket => socket.destroy(),
    () => {},
  )
  await listener.close()
}

/** Where the session's tunnel listens now. */
async function ownPlaces(name: string, { places }: Context): Promise<string[]> {
  const running = await askTunnel(places, keyOfSession(name)).catch(() => undefined)
  return running?.forwards.map(({ listen }) => listen) ?? []
}
