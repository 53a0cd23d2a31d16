import { isAbsolute, join } from 'node:path'
import { isKeytoolError, showForeign } from '@keytool/keygen'
import { readSshConfig } from '../config/ssh-config/read.js'
import type { HostSettings } from '../config/ssh-config/settings.js'
import type { Carried, ImportCandidate } from './import.js'
import { findToLookAt } from './look-at.js'
import { makeSessionName } from './names.js'
import { checkSession } from './schema.js'
import { listSshHosts, MAX_WORK } from './ssh-hosts.js'

export interface SshConfigSource {
  readonly home: string
  readonly localUser: string
  /** Default `~/.ssh/config`. */
  readonly file?: string
}

/** Settings that a session has no field for: their names in ssh_config(5). What needs no word is not here. */
const rows: readonly (readonly [name: string, read: (settings: HostSettings) => unknown])[] = [
  ['IdentityFile, all but the first', ({ identityFiles = [] }) => identityFiles.length > 1],
  ['IdentityFile none', ({ identityFiles }) => identityFiles?.length === 0],
  ['CertificateFile', ({ certificateFiles }) => certificateFiles?.length],
  ['IdentityAgent', ({ identityAgent }) => identityAgent],
  ['ForwardAgent to an agent of its own', ({ forwardAgent }) => typeof forwardAgent === 'object'],
  ['AddressFamily', ({ addressFamily }) => addressFamily && addressFamily !== 'any'],
  ['BindAddress', ({ bindAddress }) => bindAddress],
  ['Compression', ({ compression }) => compression],
  ['ConnectTimeout', ({ connectTimeout }) => connectTimeout],
  ['GatewayPorts', ({ gatewayPorts }) => gatewayPorts],
  ['PreferredAuthentications', ({ preferredAuthentications }) => preferredAuthentications],
  ['PasswordAuthentication', ({ passwordAuthentication }) => passwordAuthentication === false],
  ['KbdInteractiveAuthentication', ({ kbdInteractiveAuthentication }) => kbdInteractiveAuthentication === false],
  ['PubkeyAuthentication', ({ pubkeyAuthentication }) => pubkeyAuthentication === false],
  ['RequestTTY', ({ requestTty }) => requestTty && requestTty !== 'auto'],
  ['RemoteCommand', ({ remoteCommand }) => remoteCommand],
  ['ServerAliveInterval', ({ serverAliveInterval }) => serverAliveInterval],
  ['StrictHostKeyChecking', ({ strictHostKeyChecking }) => strictHostKeyChecking && strictHostKeyChecking !== 'ask'],
  ['UserKnownHostsFile', ({ userKnownHostsFiles }) => userKnownHostsFiles],
  ['GlobalKnownHostsFile', ({ globalKnownHostsFiles }) => globalKnownHostsFiles],
  ['SendEnv', ({ sendEnv }) => sendEnv.length],
  ['SetEnv', ({ setEnv }) => Object.keys(setEnv).length],
  ['Ciphers', ({ ciphers }) => ciphers],
  ['MACs', ({ macs }) => macs],
  ['KexAlgorithms', ({ kexAlgorithms }) => kexAlgorithms],
  ['CASignatureAlgorithms', ({ caSignatureAlgorithms }) => caSignatureAlgorithms],
  ['RevokedHostKeys', ({ revokedHostKeysFiles }) => revokedHostKeysFiles?.length],
  ['RequiredRSASize', ({ requiredRsaSize }) => requiredRsaSize],
  ['BatchMode', ({ batchMode }) => batchMode],
  ['NumberOfPasswordPrompts', ({ numberOfPasswordPrompts }) => numberOfPasswordPrompts],
  ['HostKeyAlgorithms', ({ hostKeyAlgorithms }) => hostKeyAlgorithms],
]

/** What a file for ssh names. */
export interface FromSshConfig {
  readonly hosts: readonly ImportCandidate[]
  /** Names of hosts that were not read, because all files are read for each host and that would take too long. */
  readonly notRead: readonly string[]
  /** Patterns and `Match` blocks, which count for the hosts they fit and name none; each once, safe to show. */
  readonly patterns: readonly string[]
  readonly matches: readonly string[]
}

/**
 * The hosts that a file for ssh names one by one, each as ssh would reach it by that name; the system's own file has no say
 * here. A host that can't be read is refused, for itself.
 * @throws KeytoolError as {@link listSshHosts}
 */
export async function sessionsFromSshConfig({ home, localUser, file }: SshConfigSource): Promise<FromSshConfig> {
  const path = file ?? join(home, '.ssh', 'config')
  const { names, lines, patterns, matches } = await listSshHosts(path, { home, isNamed: file !== undefined })
  const last = Math.max(1, Math.floor(MAX_WORK / lines))
  const found: ImportCandidate[] = []
  for (const host of names.slice(0, last)) {
    try {
      const settings = await readSshConfig(
        { host, localUser, home },
        file === undefined ? { systemFile: '/dev/null' } : { file },
      )
      found.push({ from: host, found: carry(host, settings) })
    } catch (error) {
      if (!isKeytoolError(error)) throw error
      found.push({ from: host, found: error })
    }
  }
  const show = (words: readonly string[]) => words.map(word => showForeign(word, 80))
  return { hosts: found, notRead: show(names.slice(last)), patterns: show(patterns), matches: show(matches) }
}

function carry(name: string, settings: HostSettings): Carried {
  const { host, port = 22, user, identityFiles = [], proxyJump, forwardAgent, hostKeyAlias } = settings
  const [key] = identityFiles
  // What was typed is the name of the block; a session is typed by a name of its own.
  const proxyCommand = settings.proxyCommand?.replace(/%([%n])/g, (token, letter) => (letter === 'n' ? name : token))
  const session = checkSession({
    version: 1,
    name: makeSessionName(name, host),
    host,
    port,
    ...(user !== undefined && { user }),
    ...(key !== undefined && { key }),
    forwards: {
      local: [...settings.localForwards],
      remote: [...settings.remoteForwards],
      dynamic: [...settings.dynamicForwards],
    },
    ...(proxyJump !== undefined && { jump: proxyJump }),
    ...(proxyCommand !== undefined && { proxyCommand }),
    ...(forwardAgent === true && { forwardAgent }),
    ...(hostKeyAlias !== undefined && { hostKeyAlias }),
  })
  const said = rows.filter(([, read]) => read(settings)).map(([row]) => row)
  const notDone = [...settings.ignored, ...(settings.needed ?? [])]
  const ignored = new Set(notDone.map(({ keyword }) => showForeign(keyword, 40)))
  const lookAtKey = key !== undefined && !isAbsolute(key) ? [`the key's path: ${showForeign(key)}`] : []
  return { session, leftOut: [...said, ...ignored], looks: 0, lookAt: [...lookAtKey, ...findToLookAt(session)] }
}
