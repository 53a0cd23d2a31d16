import type { KeytoolError, Signature } from '@keytool/keygen'
import type { Client, Identity } from '../agent.js'

/** What is asked of another agent over one connection. An `AgentClient` is one. */
export interface UpstreamConnection {
  list(): Promise<readonly Identity[]>
  sign(blob: Buffer, data: Buffer, flags: number): Promise<Signature>
  /** Resolves when the agent took it, rejects with `refused` when not. Absent: it can't be told which hosts are bound. */
  extension?(name: string, body: Buffer): Promise<unknown>
  close(): void
}

/** What all views of one agent share. */
export interface Source {
  readonly path: string
  /** Milliseconds that connecting and a list may take. */
  readonly timeout: number
  /** It was slow, or lied, and is left alone for a while. */
  readonly rests: boolean
  readonly now: () => number
  readonly holds: (blob: Buffer) => boolean
  dial(): Promise<UpstreamConnection>
  /** Sets what is told as trouble. */
  tell(trouble: string | undefined): void
  /** @param rest whether it is to be left alone. Default: when it lied. */
  tellError(error: unknown, rest?: boolean): void
  /** Rejects with `unreachable` when its turn does not come. */
  inTurn<T>(client: Client, work: () => Promise<T>): Promise<T>
  /** Rejects with `refused` when too many are under way. */
  countSignature<T>(work: () => Promise<T>): Promise<T>
  /** An error that names it. */
  failure(code: 'refused' | 'unreachable' | 'damaged', what: string, reason?: string): KeytoolError
}
