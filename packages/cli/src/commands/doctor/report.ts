import type { Diagnosis } from '@keytool/tunnel'
import { exitStatus } from '../../exit.js'

/** One thing that was looked at. */
export interface Step {
  readonly step: string
  readonly ok: boolean
  /** Whole words, foreign text in them escaped. */
  readonly text: string
  /** The host on the way that it is about, where it is not the last one. */
  readonly at?: string
}

/** What came of it all. */
export interface Report {
  /** As it was typed; absent for this machine. */
  readonly host?: string
  readonly user?: string
  readonly port?: number
  readonly steps: readonly Step[]
  /** Absent: nothing is wrong. */
  readonly diagnosis?: Diagnosis
  /** The host on the way that fails. */
  readonly at?: string
}

export function statusOf({ diagnosis }: Report): number {
  return diagnosis ? exitStatus[diagnosis.code] : 0
}
