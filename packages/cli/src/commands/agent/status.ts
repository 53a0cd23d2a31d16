import { connectAgent, shellLines } from '@keytool/agent'
import { isKeytoolError } from '@keytool/keygen'
import type { Context } from '../../context.js'
import { columns, count } from '../../text.js'
import { type AgentOptions, lookFor, placeOf, styleOf } from './options.js'

/** Whether the agent runs, and whether this shell asks it. Running or not, the answer is a success. */
export async function showStatus(options: AgentOptions, context: Context): Promise<number> {
  const { say, env, name } = context
  const place = placeOf(options, context)
  const { socket } = place
  // Whether it can be looked for is part of the answer.
  let trouble: string | undefined
  const found = await lookFor(place).catch(error => {
    if (!isKeytoolError(error)) throw error
    trouble = [error.message, error.reason].filter(Boolean).join(': ')
    return undefined
  })
  const keys = found ? await countKeys(socket) : 0
  const shell = env['SSH_AUTH_SOCK']
  const ours = shell === socket
  const fix = ours
    ? null
    : found
      ? shellLines(styleOf(options, context), socket, undefined).trimEnd()
      : `eval "$(${name} agent)"`
  const rows = found
    ? [
        ['running', `pid ${found.pid ?? 'unknown'}${found.since ? `, since ${shortTime(found.since)}` : ''}`],
        ['socket', say.path(socket)],
        ['keys', `${count(keys, 'key')} shown (a locked agent shows none)`],
      ]
    : [
        ['running', trouble === undefined ? 'no' : `no: ${say.path(trouble)}`],
        ['socket', say.path(socket)],
      ]
  for (const row of columns([
    ...rows,
    ['this shell', ours ? 'asks it' : shell ? `asks ${say.path(shell)}` : 'asks no agent'],
  ])) {
    say.line(row)
  }
  if (fix) say.line(`to have this shell ask it: ${fix}`)
  say.facts({
    running: found !== undefined,
    ...(trouble !== undefined && { trouble }),
    pid: found?.pid ?? null,
    since: found?.since ?? null,
    socket,
    // Every key is open in this version. The protocol does not tell whether an agent is locked.
    keys: { sealed: 0, open: keys },
    locked: null,
    keychain: 'unknown',
    login: 'none',
    shell: { ours, SSH_AUTH_SOCK: shell ?? null, fix },
  })
  return 0
}

async function countKeys(socket: string): Promise<number> {
  const agent = await connectAgent(socket, { timeout: 3_000 })
  try {
    return (await agent.list()).length
  } finally {
    agent.close()
  }
}

/** `2026-11-24 23:06`, in the local time. */
function shortTime(iso: string): string {
  const time = new Date(iso)
  if (Number.isNaN(time.getTime())) return 'an unknown time'
  const two = (value: number) => String(value).padStart(2, '0')
  const day = [time.getFullYear(), two(time.getMonth() + 1), two(time.getDate())].join('-')
  return `${day} ${two(time.getHours())}:${two(time.getMinutes())}`
}
