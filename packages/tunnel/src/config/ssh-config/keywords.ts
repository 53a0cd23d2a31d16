import type { Environment } from '@keytool/agent/platform'
import { matchesPattern, showForeign } from '@keytool/keygen'
import type { ForwardKind } from '../../forwards/spec.js'
import { type Draft, type FirstList, type GrowingList, ignore, type TextName } from './draft.js'
import { readForward } from './forwards.js'
import { readJump } from './jump.js'
import { type Line, takeCommand } from './line.js'
import { checkHostIp, knownHostsCommand, verifyHostKeyDns } from './needed.js'
import { failAt } from './place.js'
import type { PlainSettings } from './settings.js'
import { expand } from './tokens.js'
import * as read from './values.js'

/** Checks one line, and notes what it says if it is about this host. */
export type Keyword = (line: Line, draft: Draft, env: Environment) => void

/** `SSH_MAX_IDENTITY_FILES` and its like, and the same for what OpenSSH does not count. */
const MAX_FILES = 100
const MAX_HOSTS_FILES = 32
const MAX_ENTRIES = 1000

function plain<Name extends keyof PlainSettings>(name: Name, value: read.ReadValue<PlainSettings[Name]>): Keyword {
  return (line, { plain }) => {
    const found = value(line)
    if (line.active && plain[name] === undefined) plain[name] = found
  }
}

function note(draft: Draft, name: TextName, text: string, { active, place }: Line): void {
  if (active) draft.texts[name] ??= { text, place }
}

function said(name: TextName): Keyword {
  return (line, draft) => note(draft, name, line.words.need(), line)
}

/** A command is the rest of the line as it stands, comment and all. */
function command(name: TextName): Keyword {
  return (line, draft) => {
    note(draft, name, takeCommand(line), line)
  }
}

function grow(name: GrowingList): Keyword {
  return ({ words, active, place }, { lists }) => {
    const text = words.need()
    if (!active) return
    lists[name] ??= []
    const list = lists[name]
    if (list.some(other => other.text === text)) return
    if (list.length >= MAX_FILES) throw words.fail(`there are more than ${MAX_FILES}`)
    list.push({ text, place })
  }
}

function firstLine(name: FirstList): Keyword {
  return ({ words, active }, { lists }) => {
    const list = words.needList()
    if (list.length > MAX_HOSTS_FILES) throw words.fail(`there are more than ${MAX_HOSTS_FILES}`)
    if (active) lists[name] ??= list
  }
}

function forward(kind: ForwardKind): Keyword {
  return (line, { forwards }, env) => {
    const found = readForward(kind, line, env)
    if (!line.active || forwards.some(({ spec }) => JSON.stringify(spec) === JSON.stringify(found.spec))) return
    if (forwards.length >= MAX_ENTRIES) throw line.words.fail(`there are more than ${MAX_ENTRIES} forwards`)
    forwards.push(found)
  }
}

/** An agent's socket: `$NAME` and `${NAME}` are checked at once. */
function agentPath({ words }: Line, text: string, env: Environment): string {
  try {
    expand(text, { env })
  } catch (cause) {
    if (cause instanceof SyntaxError) throw words.fail(cause.message)
    throw cause
  }
  if (/^\$(?!\{|\w+$)/.test(text)) throw words.fail('that is no name of a variable')
  return text
}

/** Whether and which are two things: a path says yes, unless no was said before; yes leaves a later path its say. */
const forwardAgent: Keyword = (line, draft, env) => {
  const word = line.words.need()
  const isFlag = /^(yes|no|true|false)$/i.test(word)
  if (!isFlag) note(draft, 'forwardAgentPath', agentPath(line, word, env), line)
  if (line.active) draft.forwardAgent ??= !isFlag || /^(yes|true)$/i.test(word)
}

const identityAgent: Keyword = (line, draft, env) => {
  note(draft, 'identityAgent', agentPath(line, line.words.need(), env), line)
}

/** Of ProxyCommand and ProxyJump the first one counts; ProxyJump's `none` leaves a ProxyCommand be. */
const proxyJump: Keyword = (line, draft) => {
  const text = takeCommand(line)
  if (text.toLowerCase() === 'none') {
    if (line.active) draft.jump ??= 'none'
    return
  }
  try {
    const hops = readJump(text, line.place.line === 0)
    if (!line.active || draft.texts.proxyCommand || draft.jump) return
    draft.jump = { hops, said: { text, place: line.place } }
    draft.texts.proxyCommand = { text: 'none', place: line.place }
  } catch (cause) {
    if (cause instanceof SyntaxError) throw line.words.fail(cause.message)
    throw cause
  }
}

const sendEnv: Keyword = ({ words, active }, { sendEnv }) => {
  const patterns = words.rest()
  if (patterns.length === 0) throw words.fail('a value is missing')
  for (const pattern of patterns) {
    if (pattern === '' || pattern.includes('=')) throw words.fail('that is no name of a variable')
    if (!active) continue
    if (pattern.startsWith('-')) {
      const kept = sendEnv.filter(name => !matchesPattern(pattern.slice(1), name))
      sendEnv.splice(0, sendEnv.length, ...kept)
    } else if (!sendEnv.includes(pattern)) {
      if (sendEnv.length >= MAX_ENTRIES) throw words.fail(`there are more than ${MAX_ENTRIES} names`)
      sendEnv.push(pattern)
    }
  }
}

const setEnv: Keyword = ({ words, active, place }, draft) => {
  const entries = words.rest()
  if (entries.length === 0) throw words.fail('a value is missing')
  if (entries.some(entry => !entry.includes('='))) throw words.fail('it is written NAME=VALUE')
  if (active) draft.setEnv ??= entries.map(text => ({ text, place }))
}

const clearAllForwardings: Keyword = (line, draft) => {
  const value = read.flag(line)
  if (line.active) draft.clearAllForwardings ??= value
}

/** What is done only where it asks for nothing. */
function onlyNo(value: read.ReadValue<unknown>): Keyword {
  return (line, draft) => {
    const { keyword, active, place } = line
    if (value(line) !== false && active) ignore(draft, { keyword, ...place })
  }
}

const refuseConnection: Keyword = ({ words, active, place }) => {
  const why = words.need()
  if (active) throw failAt(place, `RefuseConnection: ${showForeign(why)}`, undefined, 'refused')
}

const kbdInteractive = plain('kbdInteractiveAuthentication', read.flag)
const pubkey = plain(
  'pubkeyAuthentication',
  read.choice({ yes: true, no: false, true: true, false: false, unbound: true, 'host-bound': true }),
)
const tcpKeepAlive = plain('tcpKeepAlive', read.flag)

/** What is honoured: one row a keyword, and its old names. */
const KEYWORDS: ReadonlyMap<string, Keyword> = new Map(
  Object.entries({
    addressfamily: plain('addressFamily', read.choice({ any: 'any', inet: 'inet', inet6: 'inet6' } as const)),
    bindaddress: plain('bindAddress', read.text),
    batchmode: plain('batchMode', read.flag),
    canonicalizehostname: onlyNo(read.choice({ yes: true, no: false, true: true, false: false, always: true })),
    casignaturealgorithms: plain('caSignatureAlgorithms', read.text),
    certificatefile: grow('certificateFiles'),
    challengeresponseauthentication: kbdInteractive,
    checkhostip: checkHostIp,
    ciphers: plain('ciphers', read.text),
    clearallforwardings: clearAllForwardings,
    compression: plain('compression', read.choice({ yes: true, no: false })),
    connectionattempts: plain('connectionAttempts', read.count),
    connecttimeout: plain('connectTimeout', read.time),
    dsaauthentication: pubkey,
    dynamicforward: forward('dynamic'),
    escapechar: plain('escapeChar', read.escapeChar),
    exitonforwardfailure: plain('exitOnForwardFailure', read.flag),
    forwardagent: forwardAgent,
    gatewayports: plain('gatewayPorts', read.flag),
    globalknownhostsfile: firstLine('globalKnownHosts'),
    hashknownhosts: plain('hashKnownHosts', read.flag),
    hostkeyalgorithms: plain('hostKeyAlgorithms', read.text),
    hostkeyalias: said('hostKeyAlias'),
    hostname: said('hostName'),
    identitiesonly: plain('identitiesOnly', read.flag),
    identityagent: identityAgent,
    identityfile: grow('identityFiles'),
    identityfile2: grow('identityFiles'),
    ignoreunknown: said('ignoreUnknown'),
    kbdinteractiveauthentication: kbdInteractive,
    keepalive: tcpKeepAlive,
    kexalgorithms: plain('kexAlgorithms', read.text),
    knownhostscommand: knownHostsCommand,
    localforward: forward('local'),
    loglevel: plain('logLevel', read.logLevel),
    macs: plain('macs', read.text),
    numberofpasswordprompts: plain('numberOfPasswordPrompts', read.integer),
    passwordauthentication: plain('passwordAuthentication', read.flag),
    port: plain('port', read.port),
    preferredauthentications: plain('preferredAuthentications', read.names),
    proxycommand: command('proxyCommand'),
    proxyjump: proxyJump,
    proxyusefdpass: onlyNo(read.flag),
    pubkeyauthentication: pubkey,
    refuseconnection: refuseConnection,
    remotecommand: command('remoteCommand'),
    remoteforward: forward('remote'),
    requesttty: plain(
      'requestTty',
      read.choice({ yes: 'yes', no: 'no', true: 'yes', false: 'no', force: 'force', auto: 'auto' } as const),
    ),
    requiredrsasize: plain('requiredRsaSize', read.integer),
    revokedhostkeys: firstLine('revokedHostKeys'),
    sendenv: sendEnv,
    serveralivecountmax: plain('serverAliveCountMax', read.integer),
    serveraliveinterval: plain('serverAliveInterval', read.time),
    setenv: setEnv,
    skeyauthentication: kbdInteractive,
    stricthostkeychecking: plain(
      'strictHostKeyChecking',
      read.choice({ ...read.YES_NO_ASK, off: 'no', 'accept-new': 'accept-new' } as const),
    ),
    tag: plain('tag', read.text),
    tcpkeepalive: tcpKeepAlive,
    tisauthentication: kbdInteractive,
    updatehostkeys: plain('updateHostKeys', read.yesNoAsk),
    user: said('user'),
    userknownhostsfile: firstLine('userKnownHosts'),
    verifyhostkeydns: verifyHostKeyDns,
  } satisfies Record<string, Keyword>),
)

/** What is done with a keyword in small letters, if anything. */
export function findKeyword(name: string): Keyword | undefined {
  return KEYWORDS.get(name)
}
