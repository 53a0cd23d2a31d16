import { showForeign } from '@keytool/keygen'
import { toName, toVariable } from './groups.js'
import { Inventory, InventoryError } from './inventory.js'
import type { Entry, Mapping, Tree } from './tree.js'

/** Whether this is what an inventory program prints, or `ansible-inventory --list`: members stand in lists there. */
export function isDynamic({ entries }: Mapping): boolean {
  if (entries.has('_meta')) return true
  return [...entries.values()].some(({ value }) => {
    if (value.kind !== 'map') return value.kind === 'list'
    return ['hosts', 'children'].some(section => value.entries.get(section)?.value.kind === 'list')
  })
}

/**
 * Reads what an inventory program prints for `--list`: groups with lists of hosts and children, and the hosts' variables in
 * `_meta`.
 * @throws InventoryError
 */
export function readDynamic({ entries }: Mapping): Inventory {
  const inventory = new Inventory()
  const names = new Set<string>()
  for (const [key, { value, line }] of entries) {
    const name = toName(key, 'group', line)
    if (name !== '_meta') readGroup(name, value, inventory, names)
  }
  const meta = entries.get('_meta')?.value
  const variables = meta?.kind === 'map' ? meta.entries.get('hostvars')?.value : undefined
  if (variables === undefined) return inventory
  if (variables.kind !== 'map') throw new InventoryError('hostvars in _meta is no map')
  for (const name of names) {
    const own = variables.entries.get(name)?.value
    if (own !== undefined && own.kind !== 'map')
      throw new InventoryError(`the variables of ${showForeign(name, 64)} are no map`)
    setAll(name, own?.entries, inventory)
  }
  return inventory
}

function readGroup(name: string, tree: Tree, inventory: Inventory, names: Set<string>): void {
  inventory.addGroup(name)
  const { hosts, vars, children } = toParts(name, tree)
  for (const each of toNames(hosts, name, 'hosts')) {
    names.add(each)
    inventory.addHost(each, name, undefined)
  }
  if (vars) {
    if (vars.kind !== 'map') throw new InventoryError(`vars of the group ${showForeign(name, 64)} is no map`)
    setAll(name, vars.entries, inventory)
  }
  for (const child of toNames(children, name, 'children')) {
    inventory.addGroup(child)
    inventory.addChild(name, child)
  }
}

interface Parts {
  readonly hosts: Tree | undefined
  readonly vars: Tree | undefined
  readonly children: Tree | undefined
}

/** A list alone is that of the hosts; variables alone are those of a host of the group's name. */
function toParts(name: string, tree: Tree): Parts {
  if (tree.kind !== 'map') return { hosts: tree, vars: undefined, children: undefined }
  const [hosts, vars, children] = ['hosts', 'vars', 'children'].map(key => tree.entries.get(key)?.value)
  if (hosts || vars || children) return { hosts, vars, children }
  return { hosts: { kind: 'list', items: [{ kind: 'leaf', value: name }] }, vars: tree, children: undefined }
}

function toNames(tree: Tree | undefined, group: string, section: string): string[] {
  if (!tree) return []
  if (tree.kind !== 'list') throw new InventoryError(`${section} of the group ${showForeign(group, 64)} is no list`)
  return tree.items.map(item => {
    if (item.kind === 'leaf' && typeof item.value === 'string') return item.value
    throw new InventoryError(`a name in ${section} of the group ${showForeign(group, 64)} is no text`)
  })
}

function setAll(entity: string, entries: Iterable<readonly [unknown, Entry]> | undefined, inventory: Inventory): void {
  for (const [key, entry] of entries ?? []) inventory.setVariable(entity, String(key), toVariable(entry))
}
