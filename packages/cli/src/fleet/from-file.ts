import { readWhole } from '@keytool/agent/platform'
import { KeytoolError, showForeign } from '@keytool/keygen'
import type { Context } from '../context.js'
import { resolveDestination } from '../reach.js'
import { readStdin } from '../stdin.js'
import type { FleetOptions } from './choose.js'
import { type ListedHost, readInventory } from './inventory/read.js'
import type { Member } from './member.js'

/** No list of hosts that people keep is longer, in bytes. */
const MAX_FILE = 1 << 20

/**
 * The hosts of a file. What the command line says goes before what the file says. Those that are not reached by SSH are
 * said and left out.
 * @param path `-` for standard input
 * @throws KeytoolError `not-found`, `damaged` or `unsupported` for the file, `usage` for a name in it that is none
 */
export async function readMembers(path: string, options: FleetOptions, context: Context): Promise<readonly Member[]> {
  const bytes = path === '-' ? await readStdin(context, MAX_FILE, 'a list of hosts') : await readWhole(path, MAX_FILE)
  const members: Member[] = []
  for (const host of await readInventory(bytes, path === '-' ? 'standard input' : path)) {
    if ('passedOver' in host) context.say.note(`${showForeign(host.word)} is left out: ${host.passedOver}`)
    else if ('refused' in host) members.push(refusedMember(host.word, host.refused))
    else members.push(await readMember(host, options, context))
  }
  return members
}

async function readMember(listed: ListedHost, options: FleetOptions, context: Context): Promise<Member> {
  const { word, host, identity } = listed
  const own = {
    ...options,
    ...(listed.port !== undefined && options.port === undefined && { port: String(listed.port) }),
    ...(listed.user !== undefined && options.login === undefined && { login: listed.user }),
    ...(listed.jump !== undefined && options.jump === undefined && { jump: listed.jump }),
  }
  try {
    const destination = await resolveDestination(host ?? word, own, context)
    const path = identity?.replace(/^~(?=\/)/, () => context.places.home)
    return { word, destination, ...(path !== undefined && { identity: path }), typed: spell(listed) }
  } catch (error) {
    if (!(error instanceof KeytoolError)) throw error
    return refusedMember(word, error)
  }
}

/** What leads to the same host without the file. */
function spell({ word, host, port, user, identity, jump }: ListedHost): string | undefined {
  if (identity !== undefined || jump !== undefined) return undefined
  if (host === undefined && port === undefined && user === undefined) return word
  const name = host ?? word
  const at = name.includes(':') ? `[${name}]` : name
  return `ssh://${user === undefined ? '' : `${user}@`}${at}${port === undefined ? '' : `:${port}`}`
}

/** Nobody goes there: there is nowhere to go to. */
function refusedMember(word: string, refused: KeytoolError): Member {
  const none = { localForwards: [], remoteForwards: [], dynamicForwards: [], sendEnv: [], setEnv: {} }
  const settings = { host: word, files: [], ignored: [], ...none }
  return {
    word,
    destination: { host: word, typed: word, port: 22, user: '', settings, hops: [] },
    typed: undefined,
    refused,
  }
}
