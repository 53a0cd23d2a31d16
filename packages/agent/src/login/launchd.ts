import { posix } from 'node:path'
import type { Check, LoginFacts, LoginKind, LoginPlan } from './service.js'
import { agentWords, checkAbsolute, checkWords, escapeXml } from './words.js'

const LABEL = 'keytool.agent'

/**
 * An agent of launchd's, in the user's graphical session. Its sockets can't be taken over without launch_activate_socket,
 * which node does not reach: so it runs from login on.
 */
export const launchd: LoginKind = {
  name: 'launchd',
  title: 'launchd',
  systems: ['darwin'],
  plan,
}

/** The programs of the session get to know the agent's place; then the agent takes the shell's. */
const START = '/bin/launchctl setenv SSH_AUTH_SOCK "$0"; exec "$@"'

function plan(facts: LoginFacts): LoginPlan {
  checkAbsolute(facts)
  const domain = `gui/${facts.uid ?? ''}`
  const words = ['/bin/sh', '-c', START, facts.socket, ...agentWords(facts, '-D')]
  checkWords(words)
  const path = posix.join(facts.home, 'Library', 'LaunchAgents', `${LABEL}.plist`)
  const isLoaded: Check = { command: ['/bin/launchctl', 'print', `${domain}/${LABEL}`] }
  const isSet: Check = { command: ['/bin/launchctl', 'getenv', 'SSH_AUTH_SOCK'], lines: [facts.socket] }
  const essential = words.map(word => `    <string>${escapeXml(word)}</string>\n`).join('')
  return {
    files: [{ path, text: textWith(essential), essential, comment: { open: '<!-- ', close: ' -->', after: 1 } }],
    enable: [{ command: ['/bin/launchctl', 'bootstrap', domain, path], unless: isLoaded, takesPlace: true }],
    disable: [
      { command: ['/bin/launchctl', 'bootout', `${domain}/${LABEL}`], onlyIf: isLoaded, mayFail: true },
      { command: ['/bin/launchctl', 'unsetenv', 'SSH_AUTH_SOCK'], onlyIf: isSet, mayFail: true },
    ],
  }
}

/**
 * launchd.plist(5). Started again after a crash and not after `keytool agent stop`. Umask 077 in decimal. An agent that
 * answers at its place already makes this one end with an error: it is tried again each minute, not each ten seconds.
 */
function textWith(words: string): string {
  return `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
  <key>Label</key>
  <string>${LABEL}</string>
  <key>ProgramArguments</key>
  <array>
${words}  </array>
  <key>RunAtLoad</key>
  <true/>
  <key>KeepAlive</key>
  <dict>
    <key>SuccessfulExit</key>
    <false/>
  </dict>
  <key>ThrottleInterval</key>
  <integer>60</integer>
  <key>ProcessType</key>
  <string>Interactive</string>
  <key>Umask</key>
  <integer>63</integer>
  <key>HardResourceLimits</key>
  <dict>
    <key>Core</key>
    <integer>0</integer>
  </dict>
  <key>StandardOutPath</key>
  <string>/dev/null</string>
</dict>
</plist>
`
}
