import { closeSync, openSync, readlinkSync, readSync, statSync } from 'node:fs'
import type { Sighting } from './peer-source.js'
import { ARGUMENTS_SIZE, nameOf, wordsOf } from './programs.js'

/** Positions in proc(5)'s list of /proc/PID/stat, counted from the field behind the program's name. */
const PARENT = 1
const SESSION = 3
const START = 19

/** What the kernel appends to the path of a file that is no more. */
const DELETED = / \(deleted\)$/

/** Fresh for each process: two reads of some microseconds, which is why nothing is kept. */
export function lookOnLinux(pid: number): Sighting | undefined {
  const stat = readStart(`/proc/${pid}/stat`)?.toString('latin1')
  if (stat === undefined) return undefined
  // The name may itself hold spaces and parentheses, so the fields are counted from its end.
  const end = stat.lastIndexOf(')')
  const fields = stat.slice(end + 2).split(' ')
  const file = linkOf(pid)
  const path = file !== undefined && leadsTo(file, pid) ? file : undefined
  const own = () => ownName(pid, Buffer.from(stat.slice(stat.indexOf('(') + 1, end), 'latin1').toString('utf8'))
  const name = nameOf(file?.replace(DELETED, '') ?? own(), () => argumentsOnLinux(pid))
  return {
    program: { pid, name, ...(path !== undefined && { path }) },
    parent: Number(fields[PARENT]),
    start: Number(fields[START]),
    leads: Number(fields[SESSION]) === pid,
  }
}

/** See {@link ProgramReader.argumentsOf}. */
export function argumentsOnLinux(pid: number): readonly string[] {
  return wordsOf(readStart(`/proc/${pid}/cmdline`) ?? Buffer.alloc(0))
}

/**
 * What a program calls itself, where its file may not be seen: it is another user's, or hides as an agent does. Its first
 * word says more than its first thread's name (`MainThread`, of Node 24) unless it is a title (`sshd: hana`).
 */
function ownName(pid: number, thread: string): string {
  const [word = ''] = argumentsOnLinux(pid)
  // Login shells have a hyphen in front.
  return /^[^\s:]+$/.test(word) ? word.replace(/^-/, '') : thread
}

function linkOf(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/exe`)
  } catch {
    return undefined
  }
}

/**
 * Whether a path leads to what the process runs. It does not after an update, and for a process that sees other mounts
 * under the same names, which anybody may set up for themselves.
 */
function leadsTo(path: string, pid: number): boolean {
  try {
    const [named, run] = [path, `/proc/${pid}/exe`].map(each => statSync(each, { bigint: true }))
    return named !== undefined && run !== undefined && named.ino === run.ino && named.dev === run.dev
  } catch {
    return false
  }
}

/** The first bytes of a file in /proc, whose sizes are all said to be 0. Undefined when it is gone or not for us. */
function readStart(path: string): Buffer | undefined {
  let file: number | undefined
  try {
    file = openSync(path, 'r')
    const bytes = Buffer.allocUnsafe(ARGUMENTS_SIZE)
    return bytes.subarray(0, readSync(file, bytes))
  } catch {
    return undefined
  } finally {
    if (file !== undefined) closeSync(file)
  }
}
