import { showForeign } from '@keytool/keygen'
import { Inventory, InventoryError } from './inventory.js'
import { expandPattern } from './range.js'
import { type Entry, MAX_DEPTH, type Mapping, type Tree } from './tree.js'
import { type Scalar, toText, type Variable } from './value.js'

/** Groups, hosts and variables that may be read: parts that are shared count each time. */
const MAX_STEPS = 200_000

/**
 * Reads an inventory in Ansible's YAML form: groups that hold `hosts`, `vars` and `children`.
 * @throws InventoryError
 */
export function readGroups(tree: Mapping): Inventory {
  return new Reading().read(tree)
}

class Reading {
  readonly #inventory = new Inventory()
  #steps = 0

  read(tree: Mapping): Inventory {
    for (const [name, entry] of tree.entries) this.#readGroup(name, entry, 0)
    return this.#inventory
  }

  /** @returns the group's name */
  #readGroup(key: Scalar, { value, line }: Entry, depth: number): string {
    if (depth > MAX_DEPTH) throw new InventoryError('its groups go too deep', line)
    const name = toName(key, 'group', line)
    // Ansible warns of anything else and goes on.
    if (value.kind !== 'map' && !isNull(value)) return name
    this.#step(line)
    this.#inventory.addGroup(name, line)
    if (value.kind !== 'map') return name
    for (const [section, entry] of value.entries) {
      for (const [each, part] of sections.has(section) ? toMapping(entry, name, section) : []) {
        this.#step(part.line)
        if (section === 'vars') this.#inventory.setVariable(name, toName(each, 'variable', part.line), toVariable(part))
        if (section === 'hosts') this.#readHost(each, part, name)
        if (section === 'children') {
          this.#inventory.addChild(name, this.#readGroup(each, part, depth + 1), part.line)
        }
      }
    }
    return name
  }

  #readHost(key: Scalar, { value, line }: Entry, group: string): void {
    const { names, port } = expandPattern(toName(key, 'host', line), line)
    if (value.kind !== 'map' && !isEmpty(value))
      throw new InventoryError(`${String(key)} has no variables but something else`, line)
    for (const name of names) {
      this.#inventory.addHost(name, group, port, line)
      if (value.kind !== 'map') continue
      for (const [variable, part] of value.entries) {
        this.#step(part.line)
        this.#inventory.setVariable(name, toName(variable, 'variable', part.line), toVariable(part))
      }
    }
  }

  #step(line: number | undefined): void {
    this.#steps += 1
    if (this.#steps > MAX_STEPS) throw new InventoryError('there is too much in it', line)
  }
}

const sections: ReadonlySet<unknown> = new Set(['vars', 'hosts', 'children'])

/** A single name may stand for a map with nothing behind it. */
function toMapping({ value, line }: Entry, group: string, section: Scalar): Iterable<readonly [Scalar, Entry]> {
  if (value.kind === 'map') return value.entries
  if (isNull(value)) return []
  if (value.kind === 'leaf' && typeof value.value === 'string') {
    return [[value.value, { value: { kind: 'leaf', value: null }, ...(line !== undefined && { line }) }]]
  }
  throw new InventoryError(`${String(section)} of the group ${showForeign(group, 64)} is no map`, line)
}

/** @throws InventoryError for what YAML takes for no text: `on`, `10`, `1:20` */
export function toName(key: Scalar, what: string, line: number | undefined): string {
  if (typeof key === 'string') return key
  const shown = key === null ? 'null' : showForeign(toText(key), 64)
  throw new InventoryError(`the name of a ${what} is no text in YAML: ${shown}; put it in quotes`, line)
}

export function toVariable({ value, line }: Entry): Variable {
  if (value.kind !== 'leaf')
    return { value: undefined, why: 'it is a list or a map', ...(line !== undefined && { line }) }
  const { why, isLiteral } = value
  return {
    value: value.value,
    ...(why !== undefined && { why }),
    ...(isLiteral !== undefined && { isLiteral }),
    ...(line !== undefined && { line }),
  }
}

function isNull(tree: Tree): boolean {
  return tree.kind === 'leaf' && tree.value === null
}

/** What Python takes for nothing. */
function isEmpty(tree: Tree): boolean {
  return tree.kind === 'list' ? tree.items.length === 0 : tree.kind === 'leaf' && tree.why === undefined && !tree.value
}
