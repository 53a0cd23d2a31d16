import { posix } from 'node:path'
import type { Environment } from '../platform/places.js'
import type { Check, Command, Comment, LoginFacts, LoginFile, LoginKind, LoginPlan } from './service.js'
import { absolute, agentWords, checkAbsolute, checkWords, configHome } from './words.js'

const SOCKET_UNIT = 'keytool-agent.socket'
const SERVICE_UNIT = 'keytool-agent.service'

const comment: Comment = { open: '# ', close: '', after: 0 }

/** A socket on which the user's service manager listens from login on, and the agent that it starts when it is needed. */
export const systemd: LoginKind = {
  name: 'systemd',
  title: 'a systemd socket',
  systems: ['linux'],
  answers: { command: systemctl('show', '--property=Version') },
  plan,
}

function plan(facts: LoginFacts): LoginPlan {
  checkAbsolute(facts)
  const config = configHome(facts.env, facts.home)
  const units = posix.join(config, 'systemd', 'user')
  const isEnabled: Check = { command: systemctl('is-enabled', '--quiet', SOCKET_UNIT) }
  const isActive: Check = { command: systemctl('is-active', '--quiet', SOCKET_UNIT) }
  const isSet: Check = { command: systemctl('show-environment'), lines: shownAs('SSH_AUTH_SOCK', facts.socket) }
  return {
    files: [
      { path: posix.join(units, SOCKET_UNIT), text: SOCKET, comment },
      serviceFile(posix.join(units, SERVICE_UNIT), facts),
      { path: posix.join(config, 'environment.d', '60-keytool.conf'), text: VARIABLE, comment },
    ],
    link: posix.join(units, 'sockets.target.wants', SOCKET_UNIT),
    enable: [
      { command: systemctl('daemon-reload'), afterChange: true },
      { command: systemctl('enable', SOCKET_UNIT), unless: isEnabled },
      // After too many failed starts it is left alone until somebody says that things are better now.
      {
        command: systemctl('reset-failed', SOCKET_UNIT, SERVICE_UNIT),
        unless: isActive,
        takesPlace: true,
        mayFail: true,
      },
      { command: systemctl('start', SOCKET_UNIT), unless: isActive, takesPlace: true },
      // Another agent may have said that it is to be asked since the socket was started.
      { command: systemctl('set-environment', `SSH_AUTH_SOCK=${facts.socket}`), unless: isSet, onlyIf: isActive },
    ],
    disable: [
      { command: systemctl('disable', '--now', SOCKET_UNIT), mayFail: true },
      { command: systemctl('stop', SERVICE_UNIT), mayFail: true },
      { command: systemctl('unset-environment', 'SSH_AUTH_SOCK'), onlyIf: isSet, mayFail: true },
    ],
    forget: [
      { command: systemctl('daemon-reload'), mayFail: true },
      { command: systemctl('reset-failed', SOCKET_UNIT, SERVICE_UNIT), mayFail: true },
    ],
  }
}

function systemctl(...args: string[]): Command {
  return ['systemctl', '--user', ...args]
}

/**
 * systemd.socket(5). %t is XDG_RUNTIME_DIR, so that this is the agent's fixed place. RemoveOnStop: where nobody listens any
 * more, nothing is left that looks as if. Other agents' sockets tell the service manager of themselves when they begin to
 * listen, GNOME's for one, whatever environment.d says: so does this one, after them.
 */
const SOCKET = `[Unit]
Description=Socket of the keytool agent
After=gcr-ssh-agent.socket gpg-agent-ssh.socket ssh-agent.socket

[Socket]
ListenStream=%t/keytool/agent.sock
SocketMode=0600
DirectoryMode=0700
RemoveOnStop=yes
ExecStartPost=-systemctl --user set-environment "SSH_AUTH_SOCK=%t/keytool/agent.sock"

[Install]
WantedBy=sockets.target
`

/** environment.d(5): for all that the user's service manager starts, a desktop and its programs among it. */
const VARIABLE = `SSH_AUTH_SOCK="\${XDG_RUNTIME_DIR}/keytool/agent.sock"
`

/**
 * systemd.exec(5). Left out is all that gives the service a view of its own of the file system or of the users (Protect…,
 * Private…, RestrictNamespaces): for a user's service it takes a user namespace, in which the agent would not see which
 * programs ask it, and programs that ask for passphrases could not do what they do on a desktop. MemoryDenyWriteExecute
 * would stop node itself. Which calls are forbidden is said rather than which are allowed, since those programs are
 * anybody's.
 */
const HARDENING = `NoNewPrivileges=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
SystemCallArchitectures=native
SystemCallFilter=~@clock @cpu-emulation @debug @module @obsolete @raw-io @reboot @swap
SystemCallErrorNumber=EPERM
LimitCORE=0
UMask=0077
`

/** By which node would load, log or open things before the agent can say no. */
const NODE_VARIABLES =
  'NODE_OPTIONS NODE_PATH NODE_DEBUG NODE_DEBUG_NATIVE NODE_V8_COVERAGE NODE_COMPILE_CACHE NODE_REDIRECT_WARNINGS ' +
  'NODE_EXTRA_CA_CERTS NODE_REPL_EXTERNAL_MODULE OPENSSL_CONF OPENSSL_MODULES OPENSSL_ENGINES'

function serviceFile(path: string, facts: LoginFacts): LoginFile {
  const essential = `ExecStart=${commandLine(agentWords(facts, '-D'))}\n`
  const text = `[Unit]
Description=keytool agent
Requires=${SOCKET_UNIT}
StartLimitIntervalSec=15
StartLimitBurst=5

[Service]
Type=exec
${essential}${settings(facts.env)}UnsetEnvironment=${NODE_VARIABLES}
StandardOutput=null
Restart=on-failure
RestartSec=500ms
TimeoutStopSec=10s
${HARDENING}`
  return { path, text, comment, essential }
}

/** Where the agent's settings and state lie, if this user has them elsewhere: the service manager may not know it. */
function settings(env: Environment): string {
  return ['XDG_CONFIG_HOME', 'XDG_STATE_HOME']
    .flatMap(name => {
      const path = absolute(env[name])
      if (path === undefined) return []
      checkWords([path])
      return [`Environment="${name}=${escapeWord(path)}"\n`]
    })
    .join('')
}

/** What may not be in the path of the program, even quoted. */
const NEVER_IN_PROGRAM = /["'\\]/

/**
 * systemd.service(5), COMMAND LINES: every word in quotes, with C's escapes; % begins a specifier, $ a variable, except in
 * the program's own path, which has no variables.
 */
function commandLine([program, ...args]: readonly [string, ...string[]]): string {
  checkWords([program, ...args])
  if (NEVER_IN_PROGRAM.test(program)) return commandLine(['/bin/sh', '-c', 'exec "$0" "$@"', program, ...args])
  return [`"${escapeWord(program)}"`, ...args.map(word => `"${escapeWord(word).replaceAll('$', '$$$$')}"`)].join(' ')
}

function escapeWord(word: string): string {
  return word.replace(/["\\]/g, '\\$&').replaceAll('%', '%%')
}

/** How `show-environment` writes a variable: in quotes where a shell would need them. */
function shownAs(name: string, value: string): readonly string[] {
  return [`${name}=${value}`, `${name}=$'${value.replace(/['\\]/g, '\\$&')}'`]
}
