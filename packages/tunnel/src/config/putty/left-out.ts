import { type SavedSettings, textOf } from './settings.js'

/** What makes a setting worth a word: its texts that say nothing (PuTTY's default first), or a look at it. */
type Silent = readonly string[] | ((value: string) => boolean)

/** PuTTY has some twenty of these settings. */
const BUG = /^Bug\w{1,40}$/
const MAX_BUGS = 40

const OFF: readonly string[] = ['', '0']
const ON: Silent = ['', '1']
const EMPTY: Silent = ['']

/** Algorithms that were weak in every version. Those that PuTTY warns of stand behind `WARN`. */
const weakOnes = ['des', 'blowfish', 'arcfour', 'dh-group1-sha1']

/** Whether a list of algorithms lets no weak one in without a warning. */
function isSound(list: string): boolean {
  const chosen = list.split(',')
  const warn = chosen.indexOf('WARN')
  return !chosen.slice(0, warn < 0 ? undefined : warn).some(name => weakOnes.includes(name))
}

/** Settings that touch the connection and are not carried. One row a setting; its name and what it is are said, never its value. */
const rows: readonly (readonly [name: string, silent: Silent, what: string])[] = [
  ['ProxyPassword', EMPTY, "a proxy's password: passwords are never carried"],
  ['Password', EMPTY, 'a password: passwords are never carried'],
  ['PasswordPlain', EMPTY, 'a password: passwords are never carried'],
  ['TunnelPassword', EMPTY, 'a password: passwords are never carried'],
  ['TunnelPasswordPlain', EMPTY, 'a password: passwords are never carried'],
  ['TunnelPublicKeyFile', EMPTY, 'a key for the host on the way: the agent offers it'],
  ['Compression', OFF, 'compression'],
  ['RemoteCommand', EMPTY, 'a command to run: say it to connect'],
  ['SshNoShell', OFF, 'no shell: tunnel opens none'],
  ['NoPTY', OFF, 'no terminal on the far side'],
  ['X11Forward', OFF, 'X11 is not forwarded'],
  ['TryAgent', ON, 'not asking the agent'],
  ['ChangeUsername', OFF, 'another user name while logging in'],
  ['AuthTIS', OFF, 'TIS, of SSH-1'],
  ['AuthKI', ON, 'not answering questions of the server'],
  ['AuthPlugin', EMPTY, 'a program that helps to log in'],
  ['GssapiFwd', OFF, 'Kerberos tickets handed on'],
  ['DetachedCertificate', EMPTY, 'a certificate: put it beside the key, as KEY-cert.pub'],
  ['SSHManualHostKeys', EMPTY, 'host keys of this session alone: first contact asks'],
  ['SshNoAuth', OFF, 'logging in without authentication'],
  ['SSH2DES', OFF, 'single DES'],
  ['Cipher', isSound, 'ciphers that are weak; --weak lets one in by name'],
  ['KEX', isSound, 'key exchange that is weak; --weak lets one in by name'],
  ['AddressFamily', ['', '0'], 'IPv4 or IPv6 alone'],
  ['PingInterval', OFF, 'keepalives: our own take their place'],
  ['PingIntervalSecs', OFF, 'keepalives: our own take their place'],
  ['TCPKeepalives', OFF, 'keepalives of TCP'],
  ['TCPNoDelay', ON, 'small packets gathered'],
  ['RekeyTime', ['', '60'], 'when keys are exchanged anew'],
  ['RekeyBytes', ['', '1G'], 'when keys are exchanged anew'],
  ['LocalPortAcceptAll', OFF, 'forwards open to others: they listen on loopback; --local *:PORT:… opens one'],
  ['RemotePortAcceptAll', OFF, "forwards open to others on the server: they listen on the server's loopback"],
  ['ConnectionSharing', OFF, 'one connection for several sessions'],
  ['LogType', OFF, 'a log of the session'],
  ['Environment', EMPTY, 'variables set on the far side'],
  ['TerminalType', ['', 'xterm'], "the terminal's type: connect takes yours"],
]

/** Of those that came with a proxy, only when there is one. */
const proxyRows: typeof rows = [
  ['ProxyExcludeList', EMPTY, 'hosts reached without the proxy'],
  ['ProxyDNS', ON, 'where names are looked up'],
  ['ProxyLocalhost', OFF, 'the proxy for this machine, too'],
]

/** Settings that are carried, or that say nothing by themselves. */
const taken: ReadonlySet<string> = new Set(
  (
    'Present HostName Protocol PortNumber UserName UserNameFromEnvironment PublicKeyFile LineCodePage PortForwardings AgentFwd ' +
    'LogHost SshProt HostKey FSProtocol ProxyMethod ProxyType ProxySOCKSVersion ProxyHost ProxyPort ProxyUsername ' +
    'ProxyTelnetCommand ProxyLogToTerm SshBanner AuthGSSAPI AuthGSSAPIKEX GSSLibs GSSCustom GssapiRekey ' +
    'PreferKnownHostKeys ConnectionSharingUpstream ConnectionSharingDownstream LogFileName LogFileClash LogFlush ' +
    'LogHeader SSHLogOmitPasswords SSHLogOmitData X11Display X11AuthType X11AuthFile SshNoTrivialAuth ' +
    'LocalUserName CloseOnExit WarnOnClose Tunnel TunnelHostName TunnelPortNumber TunnelUserName LogicalHostName ' +
    'KeytoolName KeytoolJump KeytoolProxyCommand KeytoolForwards KeytoolWeak'
  ).split(' '),
)

export interface LeftOut {
  /** `Compression: compression`: the setting's name, and what it is. No values: there may be secrets among them. */
  readonly settings: readonly string[]
  /** How many more there were: looks, keyboard, window. */
  readonly looks: number
}

/** What of a session's settings is not carried, as far as it is another than PuTTY's default. */
export function findLeftOut(settings: SavedSettings, hasProxy: boolean): LeftOut {
  const known = hasProxy ? [...rows, ...proxyRows] : rows
  const said = known.filter(([name, silent]) => {
    const value = textOf(settings, name)
    return !(typeof silent === 'function' ? silent(value) : silent.includes(value))
  })
  const bugs = [...settings.values.keys()].filter(name => BUG.test(name) && !OFF.includes(textOf(settings, name)))
  return {
    settings: [
      ...said.map(([name, , what]) => `${name}: ${what}`),
      ...bugs.slice(0, MAX_BUGS).map(name => `${name}: a workaround for a server's fault`),
    ],
    looks: [...settings.values.keys()].filter(name => !isNamed(name)).length,
  }
}

const named: ReadonlySet<string> = new Set([...rows, ...proxyRows].map(([name]) => name))

function isNamed(name: string): boolean {
  return named.has(name) || taken.has(name) || BUG.test(name)
}
