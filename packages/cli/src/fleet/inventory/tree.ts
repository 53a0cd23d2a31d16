import type { Scalar } from './value.js'

/** YAML or JSON as it is read here: what a place in it is, and on which line. Parts may be shared, and even go round. */
export type Tree = Leaf | List | Mapping

export interface Leaf {
  readonly kind: 'leaf'
  /** `undefined` where only Ansible knows what it means; then `why` says so. */
  readonly value: Scalar | undefined
  readonly why?: string
  readonly isLiteral?: boolean
  readonly line?: number
}

export interface List {
  readonly kind: 'list'
  readonly items: readonly Tree[]
  readonly line?: number
}

export interface Mapping {
  readonly kind: 'map'
  /** By key; of keys written twice the last one counts, in the first one's place, as in Python. */
  readonly entries: ReadonlyMap<Scalar, Entry>
  readonly line?: number
}

export interface Entry {
  readonly value: Tree
  /** Where its key stands. */
  readonly line?: number
}

/** How deep an inventory may go: further than any does. */
export const MAX_DEPTH = 100
