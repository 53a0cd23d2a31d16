import { isAbsolute, join } from 'node:path'
import { isKeytoolError, showForeign } from '@keytool/keygen'
import { readSshConfig } from '../config/ssh-config/read.js'
import type { HostSettings } from '../config/ssh-config/settings.js'
import type { Carried, ImportCandidate } from './import.js'
import { makeSessionName } from './names.js'
import { checkSession } from './schema.js'
import { listSshHosts } from './ssh-hosts.js'

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
  ['HostKeyAlgorithms', ({ hostKeyAlgorithms }) => hostKeyAlgorithms],
]

/**
 * The hosts that a file for ssh names one by one, each as ssh would reach it by that name; the system's own file has no say
 * here. A host that can't be read is refused, for itself.
 * @throws KeytoolError as {@link listSshHosts}
 */
export async function sessionsFromSshConfig({ home, localUser, file }: SshConfigSource): Promise<ImportCandidate[]> {
  const hosts = await listSshHosts(file ?? join(home, '.ssh', 'config'), { home, isNamed: file !== undefined })
  const found: ImportCandidate[] = []
  for (const host of hosts) {
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
  return found
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
  const ignored = new Set(settings.ignored.map(({ keyword }) => showForeign(keyword, 40)))
  const lookAt = key !== undefined && !isAbsolute(key) ? [`the key's path: ${showForeign(key)}`] : []
  return { session, leftOut: [...said, ...ignored], looks: 0, lookAt }
}
