import { showForeign } from '@keytool/keygen'
import { Inventory, InventoryError } from './inventory.js'
import { readLiteral } from './literal.js'
import { expandPattern } from './range.js'
import { splitWords } from './shell-words.js'
import type { Variable } from './value.js'

/** A name, of what, and a comment: `[web:children] # all of them`. */
const SECTION = /^\[([^:\]\s]+)(?::(\w+))?\]\s*(?:#.*)?$/
const GROUP_NAME = /^([^:\]\s]+)\s*(?:#.*)?$/

type Kind = 'hosts' | 'vars' | 'children'
const kinds: readonly string[] = ['hosts', 'vars', 'children'] satisfies Kind[]

/** Mentioned before it was made, which must still come. */
interface Pending {
  readonly line: number
  readonly kind: 'vars' | 'children'
  readonly parents: string[]
}

/**
 * Reads an inventory in Ansible's INI form.
 * @throws InventoryError
 */
export function readIni(lines: readonly string[]): Inventory {
  const inventory = new Inventory()
  const pending = new Map<string, Pending>()
  let group = 'ungrouped'
  let kind: Kind = 'hosts'
  for (const [index, raw] of lines.entries()) {
    const line = index + 1
    const text = raw.trim()
    if (text === '' || text.startsWith('#') || text.startsWith(';')) continue
    const section = readSection(text, line)
    if (!section) {
      readers[kind]({ inventory, pending, group, text, line })
      continue
    }
    ;({ group, kind } = section)
    if (kind === 'vars' && !inventory.hasGroup(group) && !pending.has(group)) {
      pending.set(group, { line, kind, parents: [] })
    }
    inventory.addGroup(group, line)
    if (kind !== 'vars') settle(group, inventory, pending)
  }
  const [unsettled] = pending
  if (unsettled) {
    const [name, { line, kind: what }] = unsettled
    throw new InventoryError(`there is no group ${showForeign(name, 64)}, of which [:${what}] speaks`, line)
  }
  return inventory
}

function readSection(text: string, line: number): { group: string; kind: Kind } | undefined {
  const [, group, kind = 'hosts'] = SECTION.exec(text) ?? []
  if (group === undefined) {
    if (text.startsWith('[') && text.endsWith(']')) {
      throw new InventoryError(`${JSON.stringify(showForeign(text, 64))} is no section`, line)
    }
    return undefined
  }
  if (!isKind(kind)) throw new InventoryError(`a section :${showForeign(kind, 64)} is not known`, line)
  return { group, kind }
}

function isKind(text: string): text is Kind {
  return kinds.includes(text)
}

/** A group that was waited for is there. */
function settle(group: string, inventory: Inventory, pending: Map<string, Pending>): void {
  const { parents, line } = pending.get(group) ?? {}
  pending.delete(group)
  for (const parent of parents ?? []) inventory.addChild(parent, group, line)
}

interface Line {
  readonly inventory: Inventory
  readonly pending: Map<string, Pending>
  readonly group: string
  readonly text: string
  readonly line: number
}

const readers: Readonly<Record<Kind, (line: Line) => void>> = {
  hosts({ inventory, group, text, line }) {
    const [pattern, ...assignments] = splitWords(text, true) ?? []
    if (pattern === undefined) throw new InventoryError('its quotes are not closed', line)
    const { names, port } = expandPattern(pattern, line)
    const variables = assignments.map(each => readAssignment(each, line))
    for (const name of names) {
      inventory.addHost(name, group, port, line)
      for (const [key, variable] of variables) inventory.setVariable(name, key, variable)
    }
  },
  vars({ inventory, group, text, line }) {
    const [key, variable] = readAssignment(text.replace(/\s*=\s*/, '='), line)
    inventory.setVariable(group, key, variable)
  },
  children({ inventory, pending, group, text, line }) {
    const [, child] = GROUP_NAME.exec(text) ?? []
    if (child === undefined)
      throw new InventoryError(`${JSON.stringify(showForeign(text, 64))} is no name of a group`, line)
    if (inventory.hasGroup(child)) return inventory.addChild(group, child, line)
    const waiting = pending.get(child) ?? { line, kind: 'children', parents: [] }
    waiting.parents.push(group)
    pending.set(child, waiting)
  },
}

function readAssignment(text: string, line: number): [name: string, variable: Variable] {
  const at = text.indexOf('=')
  if (at < 0) {
    throw new InventoryError(`${JSON.stringify(showForeign(text, 64))} is no name=value`, line)
  }
  const value = readLiteral(text.slice(at + 1))
  return [text.slice(0, at), { value, line, ...(value === undefined && { why: 'it is a list or a map' }) }]
}
