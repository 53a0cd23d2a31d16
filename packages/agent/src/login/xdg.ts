import { posix } from 'node:path'
import type { LoginFacts, LoginJob, LoginKind, LoginPlan, Words } from './service.js'
import { checkAbsolute, checkWords, configHome } from './words.js'

/** A file that desktops read when their user logs in. */
export function xdg(job: LoginJob): LoginKind {
  return {
    name: 'xdg',
    title: "the desktop's autostart",
    systems: ['linux', 'freebsd', 'openbsd', 'netbsd', 'sunos'],
    supervises: false,
    plan: facts => plan(job, facts),
  }
}

function plan(job: LoginJob, facts: LoginFacts): LoginPlan {
  checkAbsolute(facts)
  const { names, purpose, by } = job
  const path = posix.join(configHome(facts.env, facts.home), 'autostart', `${names.unit}.desktop`)
  const essential = `Exec=${exec(withVariables(job, facts))}\n`
  const text = `[Desktop Entry]
Type=Application
Name=${names.title}
Comment=${purpose}
${essential}Terminal=false
StartupNotify=false
NoDisplay=true
`
  return {
    files: [{ path, by, text, essential, comment: { open: '# ', close: '', after: 0 } }],
    enable: [],
    disable: job.undo?.(facts, 'xdg') ?? [],
    ...(job.traces && { traces: job.traces(facts) }),
  }
}

/** An entry has no variables of its own: env(1) sets them. */
function withVariables(job: LoginJob, facts: LoginFacts): Words {
  const [program, ...args] = job.words(facts, 'xdg')
  // The one character that a program's path may not hold, however it is written: env would take it for a variable, too.
  checkWords([program], /=/)
  const variables = (job.environment?.(facts) ?? []).map(([name, value]) => `${name}=${value}`)
  return variables.length > 0 ? ['/usr/bin/env', ...variables, program, ...args] : [program, ...args]
}

/**
 * Desktop Entry Specification, "The Exec key": words in double quotes, with a backslash before what means something there,
 * % written twice; and then, as in every string, a backslash written twice. No shell stands between: what a desktop on
 * systemd makes of a quoted $ is no shell's variable any more. What it prints lands in the session's log.
 */
function exec(words: Words): string {
  checkWords(words)
  return words.map(word => (/^[\w./=-]+$/.test(word) ? word : quote(word))).join(' ')
}

function quote(word: string): string {
  const quoted = `"${word.replace(/["`$\\]/g, '\\$&')}"`
  return quoted.replaceAll('%', '%%').replaceAll('\\', '\\\\')
}
