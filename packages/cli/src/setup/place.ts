import { userInfo } from 'node:os'
import { KeytoolError } from '@keytool/keygen'
import { checkSessionName, checkUser, parseTarget, SessionStore } from '@keytool/tunnel'
import { askText, hasTerminal } from '../ask.js'
import type { Context } from '../context.js'
import { type Destination, resolveDestination, showDestination } from '../reach.js'
import type { SetupFlags } from './options.js'
import { listRecords, type RecordFile, readRecord } from './record.js'

/** Where it goes, and how that is called. */
export interface Place {
  readonly destination: Destination
  readonly name: string
  /** Of a setup before. */
  readonly record: RecordFile | undefined
}

/** What is missing of the way is asked. @throws KeytoolError `usage` where nobody can be asked */
export async function findPlace(word: string | undefined, flags: SetupFlags, context: Context): Promise<Place> {
  const given = word ?? (await askServer(context))
  const found = await resolveDestination(given, flags, context)
  const destination = await withUser(given, found, flags, context)
  const isPortSaid = flags.port !== undefined || found.session !== undefined || parseTarget(given).port !== undefined
  const name = checkSessionName(flags.name ?? found.session?.name ?? nameFor(destination, isPortSaid))
  const record = await readRecord(name, context)
  if (record) checkSame(record, destination, context)
  const session = destination.session ?? (await sessionOf(name, destination, context))
  return { destination: { ...destination, ...(session && { session }) }, name, record }
}

async function askServer(context: Context): Promise<string> {
  if (!hasTerminal(context)) {
    throw new KeytoolError('usage', 'there is no server named, and no terminal to ask on', {
      hint: `${context.name} setup [USER@]HOST`,
    })
  }
  for (;;) {
    const answer = withPort(
      (await askText('Server (a name or address; HOST:PORT if it is not port 22)', context)).trim(),
    )
    try {
      if (answer !== '') parseTarget(answer)
      if (answer !== '') return answer
    } catch (error) {
      if (!(error instanceof KeytoolError)) throw error
      context.say.prompt([error.message, error.reason].filter(Boolean).join(': '))
    }
  }
}

/** A port in the way that all but ssh write it: there is no flag for it in an answer. */
function withPort(answer: string): string {
  return /^([^@\s]+@)?([^@:\s/]+|\[[0-9A-Fa-f:.]+\]):\d+$/.test(answer) ? `ssh://${answer}` : answer
}

/** Who logs in there is mostly somebody else than who is here. */
async function withUser(word: string, found: Destination, flags: SetupFlags, context: Context): Promise<Destination> {
  const isSaid = found.session?.user !== undefined || flags.login !== undefined || word.includes('@')
  if (isSaid || !hasTerminal(context) || found.user !== ownName()) return found
  for (;;) {
    const answer = (await askText(`User at ${found.host}`, context, found.user)).trim()
    try {
      return { ...found, user: checkUser(answer) }
    } catch (error) {
      if (!(error instanceof KeytoolError)) throw error
      context.say.prompt(error.message)
    }
  }
}

function ownName(): string | undefined {
  try {
    return userInfo().username
  } catch {
    return undefined
  }
}

/** A session's name that says where it leads. A port that ssh_config has goes without saying. */
function nameFor({ typed, port }: Destination, isPortSaid: boolean): string {
  const plain = typed.replace(/[^A-Za-z0-9._-]/g, '-').replace(/^[-.]+/, '')
  return `${plain.slice(0, 58) || 'server'}${isPortSaid && port !== 22 ? `-${port}` : ''}`
}

/** A session of this name that leads elsewhere is not to be touched. @throws KeytoolError `exists` */
async function sessionOf(name: string, { typed, host, port, user }: Destination, { places }: Context) {
  const { sessions } = await new SessionStore(places.config).list()
  const session = sessions.find(each => each.name === name)
  if (!session) return undefined
  const leadsThere = [typed, host].includes(session.host) && session.port === port && (session.user ?? user) === user
  if (leadsThere) return session
  throw new KeytoolError('exists', `there is a session ${name} already, which leads elsewhere`, {
    reason: 'nothing was done',
    hint: 'choose another name with --name',
  })
}

function checkSame(record: RecordFile, destination: Destination, context: Context): void {
  const { host, port, user, name } = record.value
  const { typed } = destination
  if (host === typed && port === destination.port && user === destination.user) return
  throw new KeytoolError('exists', `${name} was set up for another server: ${showDestination({ user, host, port })}`, {
    reason: 'nothing was done',
    hint: `choose another name with --name, or first ${context.name} setup --undo ${name}`,
  })
}

/** The setup that a word means: by its name, or by the server that it was for. Without a word, the only one. */
export async function findRecord(
  word: string | undefined,
  flags: SetupFlags,
  context: Context,
): Promise<RecordFile | undefined> {
  const records = await listRecords(context)
  if (word === undefined && flags.name === undefined) {
    if (records.length <= 1) return records[0]
    throw new KeytoolError('usage', 'there are several setups: say which', {
      reason: records.map(({ value }) => value.name).join(', '),
      hint: `${context.name} setup --undo NAME`,
    })
  }
  const named = records.filter(({ value }) => value.name === (flags.name ?? word))
  if (named.length > 0 || word === undefined) return named[0]
  const { user, host, port } = parseTarget(word)
  const wanted = flags.port === undefined ? port : Number(flags.port)
  const [first, second] = records.filter(
    ({ value }) =>
      value.host === host &&
      (user === undefined || value.user === user) &&
      (wanted === undefined || value.port === wanted),
  )
  if (!second) return first
  throw new KeytoolError('usage', `there are several setups for ${host}: say which`, {
    reason: [first, second].map(each => each?.value.name).join(', '),
    hint: `${context.name} setup --undo NAME`,
  })
}
