import { connectAgent, type StatusReport, shellLines } from '@keytool/agent'
import { isKeytoolError, showForeign } from '@keytool/keygen'
import type { Context } from '../../context.js'
import { columns, count } from '../../text.js'
import { describeLogin, keychainOf, keychainWords, lookAround } from './around.js'
import { type AgentOptions, isAsleep, lookFor, placeOf, styleOf } from './options.js'
import { findOther, nameOther, type OtherAgent, upstreamWords } from './other.js'

/** Whether the agent runs, and whether this shell asks it. Running or not, the answer is a success. */
export async function showStatus(options: AgentOptions, context: Context): Promise<number> {
  const { say, env, name } = context
  const place = placeOf(options, context)
  const { socket } = place
  // Whether it can be looked for is part of the answer.
  let trouble: string | undefined
  const sleeps = await isAsleep(place, context)
  const look = sleeps ? Promise.resolve(undefined) : lookFor(place)
  const found = await look.catch(error => {
    if (!isKeytoolError(error)) throw error
    trouble = [error.message, error.reason].filter(Boolean).join(': ')
    return undefined
  })
  const [facts, around] = await Promise.all([found ? askAgent(socket) : undefined, lookAround(context)])
  const { login } = around
  const keychain = keychainOf(facts?.status) ?? around.keychain
  const shell = env['SSH_AUTH_SOCK']
  const ours = shell === socket
  const startWords = `${name} agent${place.named ? ` -a ${say.word(socket)}` : ''}`
  const fix = ours
    ? null
    : found
      ? shellLines(styleOf(options, context), socket, undefined).trimEnd()
      : `eval "$(${startWords})"`
  const other = await findOther(context, socket)
  const rows = found
    ? [
        ['running', `pid ${found.pid ?? 'unknown'}${found.since ? `, since ${shortTime(found.since)}` : ''}`],
        ['socket', say.path(socket)],
        ['keys', facts ? describeKeys(facts) : 'it does not say'],
        ...describeProtection(facts?.status),
      ]
    : [
        ['running', describeAbsence(sleeps, trouble, context)],
        ['socket', say.path(socket)],
      ]
  for (const row of columns([
    ...rows,
    ['keychain', keychainWords[keychain]],
    ['at login', describeLogin(login, context)],
    ['this shell', ours ? 'asks it' : other ? describeOther(other, context) : 'asks no agent'],
  ])) {
    say.line(row)
  }
  const troubles = troublesOf(facts?.status)
  for (const each of troubles) say.note(say.path(showForeign(each)))
  if (found && keychain === 'none' && around.keychain !== 'none') {
    say.note(
      `the agent was started where it finds no keychain, and here is one: ${name} agent stop, then ${startWords}`,
    )
  }
  if (fix) say.line(`to have this shell ask it: ${fix}`)
  const merge = other && !isBehind(facts?.status, other) ? upstreamWords(other, startWords, context) : undefined
  if (merge) say.line(`to have the keys of both in one: ${found ? `${name} agent stop; ` : ''}${merge}`)
  say.facts({
    running: found !== undefined,
    ...(trouble !== undefined && { trouble }),
    pid: found?.pid ?? null,
    since: found?.since ?? null,
    socket,
    version: facts?.status?.version ?? null,
    keys: facts?.status?.keys ?? { sealed: 0, open: facts?.count ?? 0 },
    // The protocol does not tell whether another program's agent is locked.
    locked: facts?.status?.locked ?? null,
    ...(facts?.status && { protection: facts.status['protection'], troubles }),
    keychain,
    login: login.kind,
    loginState: login.state ?? null,
    shell: { ours, SSH_AUTH_SOCK: shell ?? null, agent: other?.known?.name ?? null, fix },
  })
  return 0
}

function describeAbsence(sleeps: boolean, trouble: string | undefined, { say }: Context): string {
  if (sleeps) return 'no: it starts when it is first asked'
  return trouble === undefined ? 'no' : `no: ${say.path(trouble)}`
}

function describeOther(other: OtherAgent, { say }: Context): string {
  const { socket, keys } = other
  const what = keys === undefined ? 'nobody answers' : count(keys, 'key')
  return `asks ${nameOther(other)} at ${say.path(socket)} (${what})`
}

/** Whether its keys are served already. */
function isBehind(status: StatusReport | undefined, { socket }: OtherAgent): boolean {
  return status?.['upstream'] === socket
}

interface AgentFacts {
  readonly count: number
  /** Only our own agent gives it. */
  readonly status?: StatusReport
}

async function askAgent(socket: string): Promise<AgentFacts | undefined> {
  const agent = await connectAgent(socket, { timeout: 3_000 })
  try {
    const count = (await agent.list()).length
    return (await agent.supports('status@keytool')) ? { count, status: await agent.status() } : { count }
  } finally {
    agent.close()
  }
}

function describeKeys({ count: shown, status }: AgentFacts): string {
  if (!status) return `${count(shown, 'key')} shown (a locked agent shows none)`
  if (status.locked) return 'locked: it shows none'
  const { open, sealed } = status.keys
  return [
    `${open} open`,
    `${sealed} sealed`,
    ...(shown > open + sealed ? [`${shown - open - sealed} from the agent behind`] : []),
  ].join(', ')
}

/** In a few words: what the user's other programs can't do to it. */
function describeProtection(status: StatusReport | undefined): string[][] {
  const protection = status?.['protection']
  if (typeof protection !== 'object' || protection === null) return []
  const { dumpable, core, traceable, secureHeap } = protection as Record<string, unknown>
  const words = [
    ...(dumpable === false && traceable === false ? ["closed to the user's other programs"] : []),
    ...(core === false ? ['no core files'] : []),
    ...(secureHeap === true ? ['keys in locked pages'] : []),
  ]
  return [['memory', words.length > 0 ? words.join(', ') : 'not protected']]
}

function troublesOf(status: StatusReport | undefined): string[] {
  const troubles = status?.['troubles']
  return Array.isArray(troubles) ? troubles.filter(text => typeof text === 'string') : []
}

/** `2026-11-24 23:06`, in the local time. */
function shortTime(iso: string): string {
  const time = new Date(iso)
  if (Number.isNaN(time.getTime())) return 'an unknown time'
  const two = (value: number) => String(value).padStart(2, '0')
  const day = [time.getFullYear(), two(time.getMonth() + 1), two(time.getDate())].join('-')
  return `${day} ${two(time.getHours())}:${two(time.getMinutes())}`
}
