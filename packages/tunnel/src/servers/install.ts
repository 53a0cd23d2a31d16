import { randomBytes } from 'node:crypto'
import {
  type AuthorizedKeyLine,
  isKeytoolError,
  KeytoolError,
  type PublicKey,
  type Signer,
  showForeign,
} from '@keytool/keygen'
import { type ConnectOptions, connect } from '../connection/connect.js'
import type { Connection, ExecResult } from '../connection/connection.js'
import { findLines, formatAuthorizedKey } from './authorized-keys.js'
import { checkKeyOptions, meanTheSame } from './key-options.js'
import { AUTHORIZED_KEYS, appendScript, failures, readScript } from './scripts.js'

/** A larger file is not one people keep by hand; it is neither read nor written. In bytes. */
const MAX_FILE = 1 << 20

export interface InstallOptions {
  /** What stands in front of the key, in sshd's grammar, such as `from="192.0.2.*"`. */
  readonly options?: string
  /** Look, but write nothing. */
  readonly dryRun?: boolean
}

export interface InstallResult {
  readonly state: 'added' | 'present' | 'would-add'
  /** The file on the server, from the home folder on. */
  readonly path: string
  /** The line that holds the key, or would. Counted from 1; absent for `would-add`. */
  readonly line?: number
}

/**
 * Puts a public key into the user's authorized_keys on the server, exactly once. What is there stays byte for byte.
 * After writing, the file is read again: only what is found there counts as added.
 * @throws KeytoolError `damaged` for a file that is no text or too large, `failed` when it can't be read or written,
 * `unsupported` when the server runs no POSIX shell, `usage` for options that sshd would not take, `refused` when the
 * key is there with other options than asked for
 */
export async function installPublicKey(
  connection: Pick<Connection, 'exec'>,
  publicKey: PublicKey,
  options: InstallOptions = {},
): Promise<InstallResult> {
  const path = `~/${AUTHORIZED_KEYS}`
  const line = formatAuthorizedKey(publicKey, options.options === undefined ? '' : checkKeyOptions(options.options))
  const lines = findLines(await fetchAuthorizedKeys(connection), publicKey)
  if (options.options !== undefined) refuseOtherOptions(lines, options.options)
  if (lines[0]) return { state: 'present', path, line: lines[0].line }
  if (options.dryRun) return { state: 'would-add', path }
  await runScript(connection, appendScript, line)
  const [after] = findLines(await fetchAuthorizedKeys(connection), publicKey)
  if (after) return { state: 'added', path, line: after.line }
  throw new KeytoolError('failed', `the key was written to ${path}, but is not found there`, {
    hint: 'look whether the disk is full, or the file is kept by another program',
  })
}

/**
 * The user's authorized_keys as it stands on the server; empty when there is none.
 * @throws as {@link installPublicKey}
 */
export async function fetchAuthorizedKeys(connection: Pick<Connection, 'exec'>): Promise<Buffer> {
  const { marker, output } = await runScript(connection, readScript)
  const none = output.indexOf(`${marker} none\n`)
  if (none !== -1) return Buffer.alloc(0)
  const head = `${marker} file\n`
  const start = output.indexOf(head)
  const end = output.lastIndexOf(`\n${marker} end\n`)
  if (start === -1 || end < start + head.length) throw noShell(output)
  return output.subarray(start + head.length, end)
}

/**
 * Logs in with this key and nothing else, on a connection of its own.
 * @throws KeytoolError as {@link connect} does; `secret-wrong` when the server refuses the key
 */
export async function verifyKeyAlone(
  options: Omit<ConnectOptions, 'signers' | 'askPassword'>,
  signer: Signer,
): Promise<void> {
  const connection = await connect({
    ...options,
    // What ssh_config leaves out is about logins; here this is the question.
    methods: ['publickey'],
    signers: [withoutCertificate(signer)],
    askPassword: undefined,
  })
  await connection.close()
  if (connection.admission.method === 'publickey') return
  throw new KeytoolError('failed', `${showForeign(options.host)} lets ${showForeign(options.user)} in without any key`)
}

/** Every line that holds the key lets it in: one with other options would undo those asked for. */
function refuseOtherOptions(lines: readonly AuthorizedKeyLine[], asked: string): void {
  const other = lines.find(({ options }) => !meanTheSame(options, asked))
  if (!other) return
  const there = other.options === '' ? 'without options' : `with ${showForeign(other.options)}`
  throw new KeytoolError('refused', `the key is there already, but ${there}: ~/${AUTHORIZED_KEYS} line ${other.line}`, {
    reason: `asked for ${showForeign(asked)}; nothing was changed`,
    hint: 'change or remove that line on the server, then try again',
  })
}

async function runScript(
  connection: Pick<Connection, 'exec'>,
  script: string,
  ...lines: string[]
): Promise<{ marker: string; output: Buffer }> {
  const marker = `keytool-${randomBytes(16).toString('hex')}`
  const stdin = Buffer.from([marker, ...lines].map(line => `${line}\n`).join(''), 'utf8')
  const result = await connection.exec(script, { stdin, cap: MAX_FILE }).catch(error => {
    if (!isKeytoolError(error) || error.code !== 'damaged') throw error
    const reason = 'larger than 1 MiB, so it is left as it is'
    throw new KeytoolError('damaged', `${AUTHORIZED_KEYS} on the server is not as it should be`, {
      reason,
      cause: error,
    })
  })
  const failure = result.status === undefined ? undefined : failures[result.status]
  if (failure !== undefined) {
    throw new KeytoolError('failed', `${AUTHORIZED_KEYS} on the server: ${failure}`, complaint(result))
  }
  if (result.status !== 0 || !result.stdout.includes(marker)) throw noShell(result.stdout, result)
  return { marker, output: result.stdout }
}

function noShell(output: Buffer, result?: ExecResult): KeytoolError {
  const said = result && complaint(result).reason ? complaint(result) : firstLine(output)
  return new KeytoolError('unsupported', 'the server runs no POSIX shell for this user', said)
}

function complaint(result: ExecResult): { reason?: string } {
  return firstLine(result.stderr)
}

function firstLine(output: Buffer): { reason?: string } {
  const line = output.toString('utf8').trim().split('\n')[0] ?? ''
  return line === '' ? {} : { reason: showForeign(line) }
}

/** The key alone: a certificate might let in whoever has it, whatever stands in authorized_keys. */
function withoutCertificate(signer: Signer): Signer {
  return { publicKey: signer.publicKey, sign: (data, options) => signer.sign(data, options) }
}
