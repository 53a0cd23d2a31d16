import { fstatSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { KeytoolError } from '@keytool/keygen'

/** sd_listen_fds(3), SD_LISTEN_FDS_START. */
const FIRST_HANDED = 3

/** By which a service manager says what it hands over, and to whom. */
const VARIABLES = ['LISTEN_PID', 'LISTEN_FDS', 'LISTEN_FDNAMES'] as const

/**
 * The descriptor of the socket that a service manager listens on already and has handed to this process, as
 * sd_listen_fds(3) has it; undefined when there is none for us. Its variables are taken out of `env`: they mean nothing to
 * the programs that this one starts. (That those don't inherit the descriptor either, node has seen to at its start.)
 *
 * @param env is changed
 * @throws KeytoolError `failed` when it is not exactly one
 */
export function takeHandedSocket(
  env: Record<string, string | undefined>,
  pid: number = process.pid,
  system: string = process.platform,
): number | undefined {
  const { LISTEN_PID, LISTEN_FDS = '0' } = env
  for (const name of VARIABLES) delete env[name]
  if (system !== 'linux' || LISTEN_PID !== String(pid) || LISTEN_FDS === '0') return undefined
  if (LISTEN_FDS === '1') return FIRST_HANDED
  throw new KeytoolError('failed', 'the service manager has to hand over one socket', {
    reason: `LISTEN_FDS is ${JSON.stringify(LISTEN_FDS.slice(0, 20))}`,
    hint: 'give the unit one ListenStream=',
  })
}

/** net/unix/af_unix.c, unix_seq_show: the flag of a socket that listens, and SOCK_STREAM. */
const LISTENS = 0x1_0000
const STREAM = '0001'

/**
 * Makes sure that a descriptor is a listening stream socket that was bound to this path.
 * @throws KeytoolError `refused`
 */
export async function checkHanded(descriptor: number, path: string): Promise<void> {
  const row = await findSocket(descriptor)
  if (!row) throw refusal(path, 'it is no Unix socket')
  if (row.type !== STREAM || (row.flags & LISTENS) === 0) throw refusal(path, 'it does not listen for connections')
  if (row.path !== Buffer.from(path).toString('latin1')) {
    const where = Buffer.from(row.path, 'latin1').toString()
    throw refusal(path, `it listens at ${where || 'no path'}`, `let it listen at ${path}, or say agent -D -a ${where}`)
  }
}

/** A line of /proc/net/unix: `Num RefCount Protocol Flags Type St Inode Path`. */
const LINE = /^\S+: \S+ \S+ ([0-9A-F]+) ([0-9A-F]+) \S+ +(\d+) ?(.*)$/

async function findSocket(descriptor: number): Promise<{ flags: number; type: string; path: string } | undefined> {
  const inode = inodeOf(descriptor)
  if (inode === undefined) return undefined
  for (const line of (await readFile('/proc/net/unix', 'latin1')).split('\n')) {
    const [, flags = '', type = '', number = '', path = ''] = LINE.exec(line) ?? []
    if (number === inode) return { flags: Number.parseInt(flags, 16), type, path }
  }
  return undefined
}

function inodeOf(descriptor: number): string | undefined {
  try {
    const stats = fstatSync(descriptor, { bigint: true })
    return stats.isSocket() ? String(stats.ino) : undefined
  } catch {
    return undefined
  }
}

function refusal(path: string, reason: string, hint?: string): KeytoolError {
  const message = `what the service manager handed over is not the agent's socket ${path}`
  return new KeytoolError('refused', message, hint ? { reason, hint } : { reason })
}
