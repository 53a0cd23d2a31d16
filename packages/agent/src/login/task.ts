import { win32 } from 'node:path'
import type { Check, LoginFacts, LoginJob, LoginKind, LoginPlan } from './service.js'
import { CONTROL, checkAbsolute, checkWords, escapeXml } from './words.js'

/** A task of Windows' scheduler, at this user's logon. What it was made from is kept, to be compared. */
export function task(job: LoginJob): LoginKind {
  return { name: 'task', title: 'a logon task', systems: ['win32'], supervises: false, plan: facts => plan(job, facts) }
}

function plan(job: LoginJob, facts: LoginFacts): LoginPlan {
  checkAbsolute(facts)
  const { names, purpose, by } = job
  const [command, ...args] = job.words(facts, 'task')
  // The scheduler puts variables in the place of these, and knows no way to write them otherwise.
  checkWords([command, ...args], /%.*%|\$\(/)
  checkWords([command, ...args, facts.user], CONTROL)
  const path = win32.join(facts.state, names.taskFile)
  // By its path: Windows looks in the current folder first.
  const schtasks = win32.join(facts.env['SystemRoot'] || 'C:\\Windows', 'System32', 'schtasks.exe')
  const isThere: Check = { command: [schtasks, '/Query', '/TN', names.title] }
  const create = [schtasks, '/Create', '/TN', names.title, '/XML', path, '/F'] as const
  const essential = `      <Command>${escapeXml(command)}</Command>
      <Arguments>${escapeXml(args.map(quote).join(' '))}</Arguments>
`
  return {
    files: [
      {
        path,
        by,
        text: textWith(`${names.title}. ${purpose}`, facts.user, essential),
        essential,
        encoding: 'utf16le',
        comment: { open: '<!-- ', close: ' -->', after: 1 },
      },
    ],
    enable: [
      { command: create, afterChange: true },
      { command: create, unless: isThere },
    ],
    disable: [
      { command: [schtasks, '/Delete', '/TN', names.title, '/F'], onlyIf: isThere },
      ...(job.undo?.(facts, 'task') ?? []),
    ],
    ...(job.traces && { traces: job.traces(facts) }),
  }
}

/** As CommandLineToArgvW takes a line apart: backslashes mean something before quotes only. */
function quote(word: string): string {
  if (word !== '' && !/[\s"]/.test(word)) return word
  return `"${word.replace(/(\\*)"/g, '$1$1\\"').replace(/\\+$/, '$&$&')}"`
}

/**
 * Task Scheduler Schema 1.2, its elements in the schema's order. What is started lets go once all is well: the
 * task has ended then, and a second one finds the first.
 */
function textWith(description: string, user: string, action: string): string {
  const id = escapeXml(user)
  return `<?xml version="1.0" encoding="UTF-16"?>
<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <RegistrationInfo>
    <Description>${escapeXml(description)}</Description>
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
