import { posix } from 'node:path'
import type { Check, LoginFacts, LoginJob, LoginKind, LoginPlan, Variable } from './service.js'
import { checkAbsolute, checkWords, escapeXml } from './words.js'

/**
 * An agent of launchd's, in the user's graphical session. Its sockets can't be taken over without launch_activate_socket,
 * which node does not reach: so it runs from login on.
 */
export function launchd(job: LoginJob): LoginKind {
  return { name: 'launchd', title: 'launchd', systems: ['darwin'], supervises: true, plan: facts => plan(job, facts) }
}

function plan(job: LoginJob, facts: LoginFacts): LoginPlan {
  checkAbsolute(facts)
  const { by } = job
  const { label } = job.names
  const domain = `gui/${facts.uid ?? ''}`
  const words = job.words(facts, 'launchd')
  const variables = job.environment?.(facts) ?? []
  checkWords([...words, ...variables.map(([, value]) => value)])
  const path = posix.join(facts.home, 'Library', 'LaunchAgents', `${label}.plist`)
  const isLoaded: Check = { command: ['/bin/launchctl', 'print', `${domain}/${label}`] }
  const essential = words.map(word => `    <string>${escapeXml(word)}</string>\n`).join('')
  const text = textWith(label, essential, variables)
  return {
    files: [{ path, by, text, essential, comment: { open: '<!-- ', close: ' -->', after: 1 } }],
    enable: [{ command: ['/bin/launchctl', 'bootstrap', domain, path], unless: isLoaded, takesPlace: true }],
    disable: [
      { command: ['/bin/launchctl', 'bootout', `${domain}/${label}`], onlyIf: isLoaded, mayFail: true },
      ...(job.undo?.(facts, 'launchd') ?? []),
    ],
    ...(job.traces && { traces: job.traces(facts) }),
  }
}

/**
 * launchd.plist(5). Started again after a crash and not after it was stopped. Umask 077 in decimal. An agent that answers at
 * its place already makes this one end with an error: it is tried again each minute, not each ten seconds.
 */
function textWith(label: string, words: string, variables: readonly Variable[]): string {
  const pairs = variables.map(([name, value]) => `    <key>${name}</key>\n    <string>${escapeXml(value)}</string>\n`)
  const environment =
    pairs.length > 0 ? `  <key>EnvironmentVariables</key>\n  <dict>\n${pairs.join('')}  </dict>\n` : ''
  return `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
  <key>Label</key>
  <string>${label}</string>
  <key>ProgramArguments</key>
  <array>
${words}  </array>
${environment}  <key>RunAtLoad</key>
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
