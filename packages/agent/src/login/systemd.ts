import { posix } from 'node:path'
import type { Check, LoginFacts, LoginFile, LoginKind, LoginPlan } from './service.js'
import { comment, managerAnswers, serviceFile, systemctl, unitFolder } from './unit.js'
import { checkAbsolute, configHome, placeVariables, programWords } from './words.js'

const SOCKET_UNIT = 'keytool-agent.socket'
const SERVICE_UNIT = 'keytool-agent.service'

/**
 * A socket on which the user's service manager listens from login on, and the agent that it starts when it is needed.
 * @param by as in `LoginFile`
 */
export function systemdSocket(by: string): LoginKind {
  return {
    name: 'systemd',
    title: 'a systemd socket',
    systems: ['linux'],
    supervises: true,
    answers: managerAnswers,
    plan: facts => plan(facts, by),
  }
}

function plan(facts: LoginFacts, by: string): LoginPlan {
  checkAbsolute(facts)
  const units = unitFolder(facts)
  const settings = posix.join(configHome(facts.env, facts.home), 'environment.d', '60-keytool.conf')
  const isEnabled: Check = { command: systemctl('is-enabled', '--quiet', SOCKET_UNIT) }
  const isActive: Check = { command: systemctl('is-active', '--quiet', SOCKET_UNIT) }
  const isSet: Check = { command: systemctl('show-environment'), lines: shownAs('SSH_AUTH_SOCK', facts.socket) }
  return {
    files: [
      { path: posix.join(units, SOCKET_UNIT), text: SOCKET, by, comment },
      serviceUnit(posix.join(units, SERVICE_UNIT), facts, by),
      { path: settings, text: VARIABLE, by, comment },
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

function serviceUnit(path: string, facts: LoginFacts, by: string): LoginFile {
  return serviceFile({
    path,
    by,
    unit: ['Description=keytool agent', `Requires=${SOCKET_UNIT}`, 'StartLimitIntervalSec=15', 'StartLimitBurst=5'],
    words: programWords(facts, 'agent', '-D'),
    variables: placeVariables(facts),
    service: ['StandardOutput=null', 'Restart=on-failure', 'RestartSec=500ms', 'TimeoutStopSec=10s'],
  })
}

/** How `show-environment` writes a variable: in quotes where a shell would need them. */
function shownAs(name: string, value: string): readonly string[] {
  return [`${name}=${value}`, `${name}=$'${value.replace(/['\\]/g, '\\$&')}'`]
}
