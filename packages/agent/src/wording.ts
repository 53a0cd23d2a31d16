import { fingerprint, type PublicKey, showForeign } from '@keytool/keygen'
import { fingerprintOf, type Identity } from './agent.js'
import type { Use } from './gates/gate.js'
import type { Purpose } from './purpose.js'
import type { Binding, Bound, Caller, Peer, Program } from './who.js'

/** The names under which known_hosts knows a host's key; none where it does not. Foreign text. */
export type NamesOf = (hostKey: PublicKey) => readonly string[]

/** The same, for whoever has to read a file first; who asks may have named the host. */
export type HostNames = (hostKey: PublicKey, by: Caller) => readonly string[] | Promise<readonly string[]>

/** Looks up every host that a use has to do with. What can't be looked up has no name. */
export async function learnNames(use: Use, names: HostNames): Promise<NamesOf> {
  const hostKeys = use.by.binding.hops.map(({ hostKey }) => hostKey)
  if (use.action === 'sign' && use.purpose.kind === 'login' && use.purpose.hostKey) hostKeys.push(use.purpose.hostKey)
  const known = new Map<string, readonly string[]>()
  for (const hostKey of hostKeys) {
    const found = await Promise.resolve(hostKey)
      .then(key => names(key, use.by))
      .catch(() => [])
    known.set(hostKey.blob.toString('latin1'), found)
  }
  return ({ blob }) => known.get(blob.toString('latin1')) ?? []
}

/** Characters that each foreign text gets at most. */
const CUTS = { program: 32, key: 64, user: 32, host: 64, namespace: 32 } as const
/** Of names of one host, hosts on the way and programs in a line. */
const MOST_NAMES = 3

/**
 * What somebody wants, in one line that is safe to show: `git (pid 4242) wants id_work for git@github.com`.
 * @param namesOf the hosts that the connection is bound to
 */
export function describeUse(use: Use, namesOf: NamesOf): string {
  return `${nameCaller(use.by)} wants ${wishOf(use, namesOf)}${nameWay(use, namesOf)}`
}

/** The question that a yes is asked for: several lines, safe to show, none of which begins with a dash. */
export function askToSign(use: SignUse, namesOf: NamesOf): string {
  return [
    describeUse(use, namesOf),
    ...nameLine(use.by),
    `key ${fingerprintOf(use.key.identity)}`,
    'Allow this signature?',
  ].join('\n')
}

/**
 * The question for a key's passphrase: several lines, as {@link askToSign}.
 * @param left tries that are left, after a wrong passphrase; absent at the first try
 */
export function askForPassphrase(key: Identity, use: Use, namesOf: NamesOf, left?: number): string {
  const wrong = left === undefined ? [] : [`wrong passphrase, ${left === 1 ? 'one try' : `${left} tries`} left`]
  return [
    ...wrong,
    describeUse(use, namesOf),
    ...nameLine(use.by),
    `key ${fingerprintOf(key)}`,
    `passphrase for ${nameKey(key)}`,
  ].join('\n')
}

type SignUse = Extract<Use, { action: 'sign' }>

/** A key for people: its comment, or its fingerprint where it has none. */
export function nameKey(identity: Identity): string {
  return identity.comment.trim() === '' ? fingerprintOf(identity) : quote(identity.comment, CUTS.key)
}

/** Who asks: the program that people have started, and its number. */
export function nameCaller({ peer }: Caller): string {
  if (!peer) return 'somebody'
  const program = peer.programs.at(-1)
  if (program) return nameProgram(program)
  return peer.pid === undefined ? 'a program' : `a program (pid ${peer.pid})`
}

/** A host by its names, or by its key where nobody has named it. */
export function nameHost(hostKey: PublicKey, namesOf: NamesOf): string {
  const [first, ...others] = namesOf(hostKey)
  if (first === undefined) return `an unknown host (${fingerprint(hostKey)})`
  const name = quote(first, CUTS.host, PLAIN_HOST)
  return others.length === 0 ? name : `${name} (also ${few(others.map(other => quote(other, CUTS.host, PLAIN_HOST)))})`
}

/**
 * Foreign text as a part of a sentence: bare where it is one plain word, else in quotation marks that it can't close.
 * Controls, what hides or turns text, markup and whatever looks like a quotation mark are written as `\u{…}`.
 * @param max characters
 * @param plain what may stand bare
 */
export function quote(text: string, max: number, plain: RegExp = PLAIN): string {
  const characters = [...text.slice(0, 4 * max)]
  const cut = characters.slice(0, max).join('') + (characters.length > max ? '…' : '')
  if (plain.test(cut)) return cut
  const closed = cut
    .replace(/\p{Zs}+/gu, ' ')
    .replace(/["\\]/g, '\\$&')
    .replace(TRICKY, escapeOne)
  return `"${showForeign(closed, LONGEST)}"`
}

/** One word of letters, digits and what stands in names: nobody could take it for more. */
const PLAIN = /^[\p{Script=Latin}\d_/~][\p{Script=Latin}\d._@+:/~=%#…-]*$/u
/** The same without what divides a user from a host. */
const PLAIN_USER = /^[\p{Script=Latin}\d_][\p{Script=Latin}\d._+…-]*$/u
/** `web`, `[web]:2222`, `::1`. */
const PLAIN_HOST = /^\[?[\p{Script=Latin}\d:][\p{Script=Latin}\d._:…-]*(?:\]:\d{1,5})?$/u
/** What is cut already is not cut again, whatever escaping has added. */
const LONGEST = 4096

/**
 * Markup, which some askpass programs and notifications heed; what looks like a quotation mark; letters that run from
 * right to left, since they take what stands beside them along; marks that pile up on one letter.
 */
const TRICKY =
  /[<>&\p{Pi}\p{Pf}\u2033\u2036\u02ba\u02ee\u02dd\u3003\u301d-\u301f\uff02\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]|(?<=\p{M}\p{M})\p{M}/gu

function escapeOne(character: string): string {
  return `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`
}

function wishOf(use: Use, namesOf: NamesOf): string {
  switch (use.action) {
    case 'sign':
      return `${nameKey(use.key.identity)} ${namePurpose(use.purpose, use.by.binding, namesOf)}`
    case 'add':
    case 'remove':
      return `to ${use.action} ${nameKey(use.key.identity)}`
    case 'unseal':
      return `to open ${nameKey(use.key.identity)}`
    case 'reencrypt':
      return `to seal ${nameKey(use.key.identity)}`
    default:
      return wishes[use.action]
  }
}

const wishes: Readonly<Record<'remove-all' | 'reencrypt-all' | 'lock' | 'unlock', string>> = {
  'remove-all': 'to remove all keys',
  'reencrypt-all': 'to seal all keys',
  lock: 'to lock the agent',
  unlock: 'to unlock the agent',
}

/** What is signed by each name; the rest is named by its namespace alone. */
const namespaces: ReadonlyMap<string, string> = new Map([
  ['git', 'to sign a commit or tag (git)'],
  ['file', 'to sign a file (file)'],
  ['email', 'to sign a mail (email)'],
])

function namePurpose(purpose: Purpose, binding: Binding, namesOf: NamesOf): string {
  if (purpose.kind === 'unknown') return 'to sign data of an unknown kind'
  if (purpose.kind === 'sshsig') {
    const { namespace } = purpose
    return namespaces.get(namespace) ?? `to sign something for ${quote(namespace, CUTS.namespace)}`
  }
  const user = quote(purpose.user, CUTS.user, PLAIN_USER)
  // What a host has proved goes before what the data says of it.
  const hostKey = targetOf(binding)?.hostKey ?? purpose.hostKey
  if (!hostKey) return `for ${user} at a host that it does not name`
  return namesOf(hostKey).length > 0
    ? `for ${user}@${nameHost(hostKey, namesOf)}`
    : `for ${user} at ${nameHost(hostKey, namesOf)}`
}

/** The host that the connection logs in to: the last one, unless that only carries the agent on. */
function targetOf({ hops }: Binding): Bound | undefined {
  const last = hops.at(-1)
  return last?.forwarding ? undefined : last
}

/** The machines that the wish has come through, nearest first. */
function nameWay({ by: { binding } }: Use, namesOf: NamesOf): string {
  const way = binding.hops.filter(({ forwarding }) => forwarding)
  return way.length === 0 ? '' : `, through ${few(way.map(({ hostKey }) => nameHost(hostKey, namesOf)))}`
}

/** Which programs stand between, where it is more than one: `asked by ssh (pid 4243) <- git (pid 4242)`. */
function nameLine({ peer }: Caller): string[] {
  const programs: Peer['programs'] = peer?.programs ?? []
  return programs.length < 2 ? [] : [`asked by ${few(programs.map(nameProgram), ' <- ')}`]
}

function nameProgram({ name, pid }: Program): string {
  return `${quote(name, CUTS.program)} (pid ${pid})`
}

function few(names: readonly string[], between = ', '): string {
  const shown = names.slice(0, MOST_NAMES).join(between)
  return names.length > MOST_NAMES ? `${shown} and ${names.length - MOST_NAMES} more` : shown
}
