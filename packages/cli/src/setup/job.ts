import { type AgentClient, checkPlace, connectAgent, type Keychain } from '@keytool/agent'
import type { PrivateKey, PublicKey } from '@keytool/keygen'
import type { ForwardSpec } from '@keytool/tunnel'
import type { FoundMail } from '../commands/tunnel/mail.js'
import type { Context } from '../context.js'
import type { Destination } from '../reach.js'
import type { Entry } from './enter.js'
import type { SetupFlags } from './options.js'
import type { Facts, Made, RecordFile } from './record.js'

/** The one key that setup is about: there already, or still to be made. */
export interface SetupKey {
  readonly path: string
  /** Absent as long as it is not made. */
  readonly publicKey?: PublicKey
  readonly isEncrypted: boolean
  /** Opened, where its passphrase was given: to be wiped at the end. */
  readonly opened?: PrivateKey
  readonly passphrase?: Buffer
  /** How a key that is to be made comes by its passphrase. */
  readonly origin?: 'given' | 'generated' | 'none'
}

/** All that the steps work on. */
export interface Job {
  /** In which our own agent is the one that is asked, whatever this shell has. */
  readonly context: Context
  /** The agent that this shell asks, where that is not ours. */
  readonly otherAgent: string | undefined
  readonly flags: SetupFlags
  /** Of the session, of the tunnel, and of the record. */
  readonly name: string
  readonly destination: Destination
  readonly record: RecordFile
  /** The step that makes the key puts it here. */
  key: SetupKey
  /** Where passphrases are to be kept; absent where they are not. */
  readonly keychain: Keychain | undefined
  /** known_hosts as it was before the server was met. */
  readonly knownBefore: Facts
  /** The login on the server; absent where nothing was asked for that (`--dry-run`). */
  readonly entry: Entry | undefined
  readonly forwards: readonly ForwardSpec[]
  readonly mail: readonly FoundMail[]
}

/** What a step finds. */
export interface Seen {
  readonly state: 'done' | 'to-do'
  /** What is there, or what would be done: a part of a line, escaped already. */
  readonly text: string
}

export type StepName = 'key' | 'login' | 'agent' | 'held' | 'host' | 'server' | 'session' | 'tunnel'

/** One step of the way, each in a file of its own: the table is in steps.ts. */
export interface Step {
  readonly name: StepName
  /** As it stands at the beginning of its line. */
  readonly title: string
  /** Which other setups lean on what it did, too, so that it is theirs to take back: those with the same key, or all. */
  readonly sharedBy?: 'key' | 'all'
  /** Changes nothing. */
  look(job: Job): Promise<Seen>
  /**
   * Does it. What it is about to change it notes before, and what came of it afterwards.
   * @returns what it did, as a part of a line, escaped already
   */
  apply(job: Job): Promise<string>
  /** After an end between the effect and its note: what is still missing of it. Default: nothing. */
  finish?(job: Job, made: Made): Promise<Facts>
  /** @returns what was taken back, or why it stays */
  undo(undoing: Undoing): Promise<string>
  /** What would be taken back. */
  foretell(undoing: Undoing): string
}

/** What is needed to take a step back. */
export interface Undoing {
  readonly context: Context
  readonly otherAgent: string | undefined
  readonly flags: SetupFlags
  readonly record: RecordFile
  /** The setups of other servers. */
  readonly others: readonly RecordFile[]
  readonly destination: Destination
}

/** Our own agent, if it answers. */
export async function openOurs({ places }: Context): Promise<AgentClient | undefined> {
  if (!(await checkPlace(places.agentSocket))) return undefined
  return connectAgent(places.agentSocket, { timeout: 20_000 }).catch(() => undefined)
}
