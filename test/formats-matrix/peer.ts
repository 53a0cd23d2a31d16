import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { PublicKey } from '../../packages/keygen/src/key.js'
import type { Folder } from '../world/folder.js'
import type { Suite, SuiteProgram } from '../world/newest.js'
import { Shell } from '../world/newest-shell.js'
import type { RunResult } from '../world/run.js'
import { type Refusal, type SecretName, secrets } from './trial.js'

/** What a peer made of a private key file. */
export interface Opened {
  /** The public key it printed. */
  readonly line: PublicKey
  /** The whole key, as the peer wrote it anew: in the clear, in a format of its own choice. */
  readonly rewritten: Buffer
}

/** One way a peer saves a key. */
export interface Saving {
  readonly kind: 'private' | 'public'
  readonly args: readonly string[]
  readonly secret: SecretName
}

/** A program of others that reads and writes keys. */
export interface FormatPeer {
  readonly title: 'OpenSSH' | 'PuTTY'
  readonly version: string
  open(file: Uint8Array, secret: SecretName): Promise<Opened | Refusal>
  openPublic(file: Uint8Array): Promise<PublicKey | Refusal>
  /** All the ways it can be asked to save a key. */
  readonly savings: readonly Saving[]
  /** @param source a file in OpenSSH's format, in the clear */
  save(source: Uint8Array, saving: Saving): Promise<Buffer | Refusal>
}

/** Where one suite's programs are put to work: files, each of its own name, and shells that start the programs. */
export class Desk {
  readonly suite: Suite
  readonly #folder: Folder
  /** As many as were needed at once. */
  readonly #shells: Shell[] = []
  readonly #idle: Shell[] = []
  #count = 0

  private constructor(suite: Suite, folder: Folder) {
    this.suite = suite
    this.#folder = folder
  }

  static async open(suite: Suite): Promise<Desk> {
    return new Desk(suite, await suite.temporaryFolder())
  }

  /** A path that nobody has used yet, as we see it. */
  fresh(): string {
    return join(this.#folder.path, `${++this.#count}`)
  }

  async put(bytes: Uint8Array | string): Promise<string> {
    const path = this.fresh()
    await writeFile(path, bytes, { mode: 0o600 })
    return path
  }

  /** The file, or `undefined` when no program wrote it. */
  take(path: string): Promise<Buffer | undefined> {
    return readFile(path).catch(() => undefined)
  }

  /** A file with a passphrase; an empty one for `none`. */
  putSecret(secret: SecretName): Promise<string> {
    return this.put(secrets[secret] ?? '')
  }

  /** Runs a program on files here. Paths among the arguments are ours; the program gets them as it sees them. */
  async run(program: SuiteProgram, ...args: string[]): Promise<RunResult> {
    const seen = args.map(arg => (arg.startsWith(this.#folder.path) ? this.suite.inside(arg) : arg))
    const shell = this.#idle.pop() ?? this.#newShell()
    // One whose program took too long is not used again.
    const result = await shell.run([...this.suite.command(program), ...seen])
    this.#idle.push(shell)
    return result
  }

  async close(): Promise<void> {
    for (const shell of this.#shells) shell.close()
    await this.#folder.dispose()
  }

  #newShell(): Shell {
    const shell = new Shell(this.fresh())
    this.#shells.push(shell)
    return shell
  }
}

/** What the program said when it did not do it. */
export function refusal({ stdout, stderr, status }: RunResult): Refusal {
  const [first = ''] = (stderr.trim() || stdout.trim()).split('\n')
  // Names of files are no part of the reason.
  return { refused: first.replace(/`?\/\S+\/\d+'?/, 'FILE') || `it ended with status ${status} and said nothing` }
}
