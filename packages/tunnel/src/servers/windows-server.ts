import { isKeytoolError, KeytoolError, showForeign } from '@keytool/keygen'
import type { Connection } from '../connection/connection.js'
import { openWhenRoom } from './open-session.js'

/**
 * The commands that run on a Windows server. They are fixed, and mean the same to cmd.exe and to PowerShell, one of which is
 * the user's shell there: no quotes, and all that is to be replaced is so by cmd.exe itself.
 */
export const windowsCommands = {
  /** Says where the system's data lies; anything but Windows does not know it. */
  find: 'cmd /c echo keytool %PROGRAMDATA% keytool',
  /** The groups of the user as CSV; those of the system have the same number everywhere, whatever their names. */
  groups: 'whoami /groups /fo csv /nh',
  /** Lets in the system and the administrators alone, as sshd demands of this file. */
  protect:
    'cmd /c icacls %PROGRAMDATA%\\ssh\\.administrators_authorized_keys.keytool-new /inheritance:r /grant:r *S-1-5-18:F *S-1-5-32-544:F',
} as const

/** BUILTIN\Administrators. */
const ADMINISTRATORS = 'S-1-5-32-544'
const CAP = 64 * 1024
const TIMEOUT = 30_000

export interface WindowsServer {
  /** Where programs keep their data, such as `C:\ProgramData`. A drive and what stands behind it, nothing else. */
  readonly programData: string
}

/** A drive's letter, then parts that hold nothing special. */
const PLACE = /^keytool ([A-Za-z]:(?:\\[^\\/:*?"<>|%&^\p{Cc}]+)+) keytool\s*$/mu

/**
 * Whether it is Windows, by asking its shell.
 * @returns `undefined` for every other server, one without a shell included
 * @throws KeytoolError `unreachable`
 */
export async function findWindows(connection: Pick<Connection, 'exec'>): Promise<WindowsServer | undefined> {
  const said = await run(connection, windowsCommands.find)
  const programData = PLACE.exec(said?.text ?? '')?.[1]
  return programData === undefined ? undefined : { programData }
}

/**
 * Whether the user is one of its administrators, for whom sshd reads another file.
 * @throws KeytoolError `failed` when the server does not say; `unreachable`
 */
export async function isAdministrator(connection: Pick<Connection, 'exec'>): Promise<boolean> {
  const said = await run(connection, windowsCommands.groups)
  if (said?.status === 0 && said.text.includes('S-1-')) return said.text.split(/[",;\s]+/).includes(ADMINISTRATORS)
  throw new KeytoolError('failed', 'the server does not say whether the user is one of its administrators', {
    reason: `whoami /groups ended with ${said?.status ?? 'nothing'}; nothing was changed`,
  })
}

/**
 * Sets who may read and write what is to be the administrators' file, before it is.
 * @throws KeytoolError `failed`; `unreachable`
 */
export async function protectAdministratorsKeys(connection: Pick<Connection, 'exec'>): Promise<void> {
  const said = await run(connection, windowsCommands.protect)
  if (said?.status === 0) return
  const [line = ''] = (said?.text ?? '').trim().split('\n')
  throw new KeytoolError('failed', 'icacls does not give the file to the administrators alone', {
    reason: line === '' ? 'it is left as it was' : `it says: ${showForeign(line, 100)}`,
  })
}

/** What it said, in any charset: what is looked for is ASCII. `undefined` where no command runs. */
async function run(
  connection: Pick<Connection, 'exec'>,
  command: string,
): Promise<{ readonly status: number | undefined; readonly text: string } | undefined> {
  try {
    const { status, stdout, stderr } = await openWhenRoom(() =>
      connection.exec(command, { cap: CAP, timeout: TIMEOUT }),
    )
    return { status, text: Buffer.concat([stdout, stderr]).toString('utf8') }
  } catch (error) {
    // A server that does not do it, or one whose shell does something else without end.
    if (isKeytoolError(error) && (error.code === 'refused' || error.code === 'damaged')) return undefined
    throw error
  }
}
