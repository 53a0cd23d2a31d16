import { type Clues, diagnose } from '@keytool/tunnel'
import type { Context } from '../../context.js'
import { checkAgent, checkAtLogin, checkKeychain, checkShellAgent } from './checks/agent.js'
import type { Check, Found } from './checks/check.js'
import { checkConfig, checkKnownHosts, checkModes, checkSessions } from './checks/files.js'
import type { Report, Step } from './report.js'

/** What is looked at on this machine, the gravest first: of several that are wrong the first is the cause. */
const checks: Readonly<Record<string, Check>> = {
  ssh_config: checkConfig,
  known_hosts: checkKnownHosts,
  '~/.ssh': checkModes,
  sessions: checkSessions,
  agent: checkAgent,
  'this shell': checkShellAgent,
  keychain: checkKeychain,
  'at login': checkAtLogin,
}

/** This machine, without any server. Nothing is started, and nothing is changed. */
export async function examineHere(context: Context): Promise<Report> {
  const steps: Step[] = []
  let worst: Found | undefined
  for (const [step, check] of Object.entries(checks)) {
    const found = await check(context)
    steps.push({ step, ok: found.cause === undefined, text: found.text })
    if (found.cause !== undefined) worst ??= found
  }
  if (worst?.cause === undefined) return { steps }
  const { cause, text, evidence = [text], ...own } = worst
  return { steps, diagnosis: diagnose(cause, cluesHere(own.key, context), evidence, own) }
}

function cluesHere(key: string | undefined, { name, say }: Context): Clues {
  const here = 'this machine'
  return {
    ...{ program: name, place: here, account: here, user: 'USER', host: here, again: 'USER@HOST' },
    ...(key !== undefined && { key: say.word(key) }),
  }
}
