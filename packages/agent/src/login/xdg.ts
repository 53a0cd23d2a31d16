import { posix } from 'node:path'
import type { LoginFacts, LoginKind, LoginPlan } from './service.js'
import { agentWords, checkAbsolute, checkWords, configHome } from './words.js'

/** A file that desktops read when their user logs in. */
export const xdg: LoginKind = {
  name: 'xdg',
  title: "the desktop's autostart",
  systems: ['linux', 'freebsd', 'openbsd', 'netbsd', 'sunos'],
  plan,
}

function plan(facts: LoginFacts): LoginPlan {
  checkAbsolute(facts)
  const path = posix.join(configHome(facts.env, facts.home), 'autostart', 'keytool-agent.desktop')
  const essential = `Exec=${exec(agentWords(facts))}\n`
  const text = `[Desktop Entry]
Type=Application
Name=keytool agent
Comment=Holds SSH keys
${essential}Terminal=false
StartupNotify=false
NoDisplay=true
`
  return { files: [{ path, text, essential, comment: { open: '# ', close: '', after: 0 } }], enable: [], disable: [] }
}

/**
 * Desktop Entry Specification, "The Exec key": words in double quotes, with a backslash before what means something there,
 * % written twice; and then, as in every string, a backslash written twice. No shell stands between: what a desktop on
 * systemd makes of a quoted $ is no shell's variable any more. The lines that the agent prints land in the session's log.
 */
function exec([program, ...args]: readonly [string, ...string[]]): string {
  checkWords([program, ...args])
  // The one character that its path may not hold, however it is written.
  checkWords([program], /=/)
  return [program, ...args].map(word => (/^[\w./=-]+$/.test(word) ? word : quote(word))).join(' ')
}

function quote(word: string): string {
  const quoted = `"${word.replace(/["`$\\]/g, '\\$&')}"`
  return quoted.replaceAll('%', '%%').replaceAll('\\', '\\\\')
}
