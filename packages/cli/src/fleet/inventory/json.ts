import { InventoryError } from './inventory.js'
import { type Entry, MAX_DEPTH, type Tree } from './tree.js'
import type { Scalar } from './value.js'

/**
 * @returns `undefined` for what is no JSON
 * @throws InventoryError when it goes too deep
 */
export function readJson(text: string): Tree | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  return toTree(value, 0)
}

function toTree(value: unknown, depth: number): Tree {
  if (depth > MAX_DEPTH) throw new InventoryError('it goes too deep')
  if (Array.isArray(value)) return { kind: 'list', items: value.map(item => toTree(item, depth + 1)) }
  if (typeof value !== 'object' || value === null) return { kind: 'leaf', value: value as Scalar }
  // How Ansible writes in JSON what it does not open or evaluate.
  if ('__ansible_vault' in value) return { kind: 'leaf', value: undefined, why: "it is encrypted by Ansible's vault" }
  if ('__ansible_unsafe' in value && typeof value.__ansible_unsafe === 'string') {
    return { kind: 'leaf', value: value.__ansible_unsafe, isLiteral: true }
  }
  const entries = Object.entries(value).map(([key, item]): [Scalar, Entry] => [key, { value: toTree(item, depth + 1) }])
  return { kind: 'map', entries: new Map(entries) }
}
