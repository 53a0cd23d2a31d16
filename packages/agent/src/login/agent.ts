import { launchd } from './launchd.js'
import type { LoginFacts, LoginJob, LoginSubject, Step, Words } from './service.js'
import { systemdSocket } from './systemd.js'
import { task } from './task.js'
import { programWords } from './words.js'
import { xdg } from './xdg.js'

/** On macOS the programs of the session get to know the agent's place; then the agent takes the shell's. */
const START = '/bin/launchctl setenv SSH_AUTH_SOCK "$0"; exec "$@"'

const job: LoginJob = {
  names: { title: 'keytool agent', unit: 'keytool-agent', label: 'keytool.agent', taskFile: 'login-task.xml' },
  purpose: 'Holds SSH keys',
  by: 'keytool agent install',
  words(facts: LoginFacts, kind): Words {
    if (kind !== 'launchd') return programWords(facts, 'agent')
    return ['/bin/sh', '-c', START, facts.socket, ...programWords(facts, 'agent', '-D')]
  },
  undo({ socket }, kind): readonly Step[] {
    if (kind !== 'launchd') return []
    const isSet = { command: ['/bin/launchctl', 'getenv', 'SSH_AUTH_SOCK'], lines: [socket] } as const
    return [{ command: ['/bin/launchctl', 'unsetenv', 'SSH_AUTH_SOCK'], onlyIf: isSet, mayFail: true }]
  },
}

/** The agent. systemd starts it by a socket; elsewhere it is a job like others. */
export const agentAtLogin: LoginSubject = {
  command: job.by,
  kinds: [systemdSocket(job.by), xdg(job), launchd(job), task(job)],
}
