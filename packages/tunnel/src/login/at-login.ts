import { posix, win32 } from 'node:path'
import {
  type LoginFacts,
  type LoginJob,
  type LoginKindName,
  type LoginSubject,
  placeVariables,
  programWords,
  subjectOf,
  type Traces,
  type Words,
} from '@keytool/agent'
import { checkSessionName } from '../sessions/schema.js'
import { onceForGood } from './once-for-good.js'

/**
 * The tunnel of a saved session, as it is started at login: it keeps trying until its server is there, asks the agent at its
 * fixed place, and writes a log of its own.
 * @param name the session's
 * @param final exit statuses after which it is of no use to start it again
 * @throws KeytoolError `usage` for what can't be the name of a session
 */
export function tunnelAtLogin(name: string, final: readonly number[]): LoginSubject {
  checkSessionName(name)
  const job: LoginJob = {
    names: {
      title: `keytool tunnel ${name}`,
      unit: `keytool-tunnel-${name}`,
      label: `keytool.tunnel.${name}`,
      taskFile: `login-task-tunnel-${name}.xml`,
    },
    purpose: 'Holds forwards up',
    // Without the name, which may hold what ends a comment in XML.
    by: 'keytool tunnel install',
    words: (facts, kind) => wordsFor(kind, facts, name, final),
    // What a desktop has put there may be another agent, which is still empty at login.
    environment: facts => [['SSH_AUTH_SOCK', facts.socket], ...placeVariables(facts)],
    final,
    // Its socket is a desktop's first thing, and is waited for.
    after: ['keytool-agent.socket'],
    traces: facts => tracesOf(facts, name),
  }
  return subjectOf(job)
}

/** The log of a tunnel that was started at login. Nothing else writes to it. */
export function loginLog(facts: Pick<LoginFacts, 'system' | 'state'>, name: string): string {
  return pathsOf(facts).join(facts.state, 'tunnels', 'login', `${name}.log`)
}

function wordsFor(kind: LoginKindName, facts: LoginFacts, name: string, final: readonly number[]): Words {
  const rest = ['--wait', '--log', loginLog(facts, name), name] as const
  // A window stands open there for as long as what the task has started runs.
  if (kind === 'task') return programWords(facts, 'tunnel', '--background', ...rest)
  const words = programWords(facts, 'tunnel', ...rest)
  return kind === 'launchd' ? onceForGood(words, final) : words
}

function tracesOf(facts: LoginFacts, name: string): Traces {
  const log = loginLog(facts, name)
  return { files: [log, `${log}.1`], within: facts.state }
}

function pathsOf({ system }: Pick<LoginFacts, 'system'>): typeof posix {
  return system === 'win32' ? win32 : posix
}
