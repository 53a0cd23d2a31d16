import type { Cause } from '@keytool/tunnel'
import type { Context } from '../../../context.js'

/** What one look at this machine found. */
export interface Found {
  /** How it is, in a few words. */
  readonly text: string
  /** Absent: it is as it should be. */
  readonly cause?: Cause
  /** Default: the text. */
  readonly evidence?: readonly string[]
  readonly advice?: string
  readonly remedy?: string
  /** The key's file that it is about. */
  readonly key?: string
}

/** Changes nothing, and starts nothing. */
export type Check = (context: Context) => Promise<Found>
