import { KeytoolError, type PrivateKey, type PublicKey } from '@keytool/keygen'
import { findLines } from '../src/servers/authorized-keys.js'
import type { KeyFile } from '../src/servers/key-file.js'
import type { HostRotation } from '../src/servers/rotation/door.js'
import type { HostRecord } from '../src/servers/rotation/journal.js'

/** What stands in for SIGKILL: nothing catches it. */
export class Killed extends Error {}

export interface Pair {
  readonly old: PrivateKey
  readonly new: PrivateKey
}

/** A server in memory, a journal on a disk in memory, and a clock of events at one of which we are killed. */
export class RotationWorld {
  bytes: Buffer
  /** What is on disk. */
  record: HostRecord
  readonly states: string[] = []
  /** Keys that are let in by something else than the file. */
  readonly elsewhere: PublicKey[] = []
  /** Called before each replacement: what others do meanwhile. */
  meddle: () => void = () => {}
  /** Who opened the connection over which the file was last changed. */
  lastWriter: PublicKey | undefined
  readonly #pair: Pair
  #left = Number.POSITIVE_INFINITY

  constructor(text: string | Buffer, pair: Pair) {
    this.bytes = Buffer.from(text)
    this.#pair = pair
    this.record = {
      ...{ id: 'u@h:22', word: 'h', host: 'h', port: 22, user: 'u', reach: {}, state: 'start' },
      ...{ old: [], before: [], added: [] },
    }
  }

  /** Kills at the nth event from now on, counted from 0: just before or just after something lasting happens. */
  killAt(event: number): void {
    this.#left = event
  }

  admits(key: PublicKey): boolean {
    return findLines(this.bytes, key).length > 0 || this.elsewhere.some(each => each.equals(key))
  }

  rotation(): HostRotation {
    const { old, new: fresh } = this.#pair
    return {
      keys: { old: old.publicKey, new: fresh.publicKey, oldSigner: old, newSigner: fresh },
      record: this.record,
      door: {
        file: async () => this.#file(undefined),
        fileBy: async ({ publicKey }) => {
          if (this.admits(publicKey)) return this.#file(publicKey)
          throw new KeytoolError('secret-wrong', 'h refuses the key')
        },
        admits: async key => (this.admits(key) ? {} : undefined),
      },
      note: async change => {
        this.#tick()
        this.record = structuredClone({ ...this.record, ...change })
        this.states.push(this.record.state)
        this.#tick()
        return this.record
      },
    }
  }

  #file(by: PublicKey | undefined): KeyFile {
    return {
      path: '~/.ssh/authorized_keys',
      way: 'shell',
      read: async () => Buffer.from(this.bytes),
      replace: async (before, after) => {
        this.meddle()
        if (!before.equals(this.bytes)) return false
        this.#tick()
        this.bytes = Buffer.from(after)
        this.lastWriter = by
        this.#tick()
        return true
      },
      examine: async () => [],
    }
  }

  #tick(): void {
    if (this.#left-- === 0) throw new Killed()
  }
}
