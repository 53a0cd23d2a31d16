import type { ErrorCode } from '@keytool/keygen'
import type { Clues } from './cause.js'
import { type Cause, causes } from './causes.js'

/** One cause, one remedy. */
export interface Diagnosis {
  readonly cause: Cause
  readonly code: ErrorCode
  readonly text: string
  /** What it is known by: whole sentences, foreign text in them escaped. */
  readonly evidence: readonly string[]
  readonly advice: string
  readonly remedy: string
}

/** @param own what is known better than the table */
export function diagnose(
  cause: Cause,
  clues: Clues,
  evidence: readonly string[],
  own: { readonly text?: string; readonly advice?: string; readonly remedy?: string } = {},
): Diagnosis {
  const row = causes[cause]
  return {
    cause,
    code: row.code,
    text: own.text ?? row.say(clues),
    evidence: [...new Set(evidence)],
    advice: own.advice ?? row.advice,
    remedy: own.remedy ?? row.remedy(clues),
  }
}
