/** What a variable holds, as far as it matters here. */
export type Scalar = string | number | bigint | boolean | null

/** A variable of a group or host. */
export interface Variable {
  /** `undefined` for a list, a map, or what only Ansible can open: see `why`. */
  readonly value: Scalar | undefined
  /** Why the value can't be used here: `it is encrypted by Ansible's vault`. */
  readonly why?: string
  /** Ansible takes the text as it is, braces and all (`!unsafe`). */
  readonly isLiteral?: boolean
  /** Counted from 1; absent for JSON. */
  readonly line?: number
}

/** The text of a value; numbers as Python writes them. */
export function toText(value: Exclude<Scalar, null>): string {
  if (typeof value === 'boolean') return value ? 'True' : 'False'
  return String(value)
}
