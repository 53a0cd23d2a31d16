import { win32 } from 'node:path'
import type { Check, LoginFacts, LoginKind, LoginPlan } from './service.js'
import { agentWords, CONTROL, checkAbsolute, checkWords, escapeXml } from './words.js'

const NAME = 'keytool agent'

/** A task of Windows' scheduler, at this user's logon. What it was made from is kept, to be compared. */
export const task: LoginKind = {
  name: 'task',
  title: 'a logon task',
  systems: ['win32'],
  plan,
}

function plan(facts: LoginFacts): LoginPlan {
  checkAbsolute(facts)
  const [command, ...args] = agentWords(facts)
  // The scheduler puts variables in the place of these, and knows no way to write them otherwise.
  checkWords([command, ...args], /%.*%|\$\(/)
  checkWords([command, ...args, facts.user], CONTROL)
  const path = win32.join(facts.state, 'login-task.xml')
  // By its path: Windows looks in the current folder first.
  const schtasks = win32.join(facts.env['SystemRoot'] || 'C:\\Windows', 'System32', 'schtasks.exe')
  const isThere: Check = { command: [schtasks, '/Query', '/TN', NAME] }
  const create = [schtasks, '/Create', '/TN', NAME, '/XML', path, '/F'] as const
  const essential = `      <Command>${escapeXml(command)}</Command>
      <Arguments>${escapeXml(args.map(quote).join(' '))}</Arguments>
`
  return {
    files: [
      {
        path,
        text: textWith(facts.user, essential),
        essential,
        encoding: 'utf16le',
        comment: { open: '<!-- ', close: ' -->', after: 1 },
      },
    ],
    enable: [
      { command: create, afterChange: true },
      { command: create, unless: isThere },
    ],
    disable: [{ command: [schtasks, '/Delete', '/TN', NAME, '/F'], onlyIf: isThere }],
  }
}

/** As CommandLineToArgvW takes a line apart: backslashes mean something before quotes only. */
function quote(word: string): string {
  if (word !== '' && !/[\s"]/.test(word)) return word
  return `"${word.replace(/(\\*)"/g, '$1$1\\"').replace(/\\+$/, '$&$&')}"`
}

/**
 * Task Scheduler Schema 1.2, its elements in the schema's order. The agent is started in the background: the task has
 * ended when it answers, and a second one finds the first.
 */
function textWith(user: string, action: string): string {
  const id = escapeXml(user)
  return `<?xml version="1.0" encoding="UTF-16"?>
<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <RegistrationInfo>
    <Description>Starts the keytool agent, which holds SSH keys</Description>
  </RegistrationInfo>
  <Triggers>
    <LogonTrigger>
      <Enabled>true</Enabled>
      <UserId>${id}</UserId>
    </LogonTrigger>
  </Triggers>
  <Principals>
    <Principal id="Author">
      <UserId>${id}</UserId>
      <LogonType>InteractiveToken</LogonType>
      <RunLevel>LeastPrivilege</RunLevel>
    </Principal>
  </Principals>
  <Settings>
    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>
    <Hidden>true</Hidden>
    <ExecutionTimeLimit>PT0S</ExecutionTimeLimit>
  </Settings>
  <Actions Context="Author">
    <Exec>
${action}    </Exec>
  </Actions>
</Task>
`
}
