import { posix } from 'node:path'
import type { Check, LoginFacts, LoginJob, LoginKind, LoginPlan } from './service.js'
import { managerAnswers, serviceFile, systemctl, unitFolder } from './unit.js'
import { checkAbsolute } from './words.js'

/** What is wanted by everything that a login brings up. */
const TARGET = 'default.target'

/** A service that the user's service manager starts at login, and again when it has failed. */
export function systemdService(job: LoginJob): LoginKind {
  return {
    name: 'systemd',
    title: 'a systemd service',
    systems: ['linux'],
    supervises: true,
    answers: managerAnswers,
    plan: facts => plan(job, facts),
  }
}

function plan(job: LoginJob, facts: LoginFacts): LoginPlan {
  checkAbsolute(facts)
  const { names, final = [], after = [] } = job
  const unit = `${names.unit}.service`
  const units = unitFolder(facts)
  const isEnabled: Check = { command: systemctl('is-enabled', '--quiet', unit) }
  const isActive: Check = { command: systemctl('is-active', '--quiet', unit) }
  return {
    files: [
      serviceFile({
        path: posix.join(units, unit),
        by: job.by,
        // Only after: what is not started by itself is not to be started because of this one, in the place of another.
        unit: [`Description=${names.title}`, ...(after.length > 0 ? [`After=${after.join(' ')}`] : [])],
        words: job.words(facts, 'systemd'),
        variables: job.environment?.(facts) ?? [],
        service: [
          'Restart=on-failure',
          'RestartSec=5s',
          ...(final.length > 0 ? [`RestartPreventExitStatus=${final.join(' ')}`] : []),
          // It ends what it has started by itself; what is left then is ended after it.
          'KillMode=mixed',
          'TimeoutStopSec=15s',
        ],
        install: [`WantedBy=${TARGET}`],
      }),
    ],
    link: posix.join(units, `${TARGET}.wants`, unit),
    enable: [
      { command: systemctl('daemon-reload'), afterChange: true },
      { command: systemctl('enable', unit), unless: isEnabled },
      { command: systemctl('restart', unit), onlyIf: isActive, afterChange: true },
      // One that has failed too often, or for good, is left alone until somebody says that things are better now.
      { command: systemctl('reset-failed', unit), unless: isActive, takesPlace: true, mayFail: true },
      { command: systemctl('start', unit), unless: isActive, takesPlace: true },
    ],
    disable: [{ command: systemctl('disable', '--now', unit), mayFail: true }, ...(job.undo?.(facts, 'systemd') ?? [])],
    forget: [
      { command: systemctl('daemon-reload'), mayFail: true },
      { command: systemctl('reset-failed', unit), mayFail: true },
    ],
    ...(job.traces && { traces: job.traces(facts) }),
  }
}
