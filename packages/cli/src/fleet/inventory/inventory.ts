import { showForeign } from '@keytool/keygen'
import type { Variable } from './value.js'
import { variableNames } from './variable-names.js'

const MAX_HOSTS = 10_000
/** Each host may be in several. */
const MAX_GROUPS = 10_000
const MAX_MEMBERSHIPS = 100_000
/** Groups around groups that are looked through in all: no fleet has a thousandth of it. */
const MAX_STEPS = 5_000_000

/** What makes an inventory no inventory; who reads one adds the file's name. */
export class InventoryError extends Error {
  readonly line: number | undefined
  constructor(message: string, line?: number) {
    super(message)
    this.line = line
  }
}

interface Group {
  readonly name: string
  readonly variables: Map<string, Variable>
  readonly children: Set<Group>
  readonly parents: Set<Group>
  priority: number
}

export interface Host {
  readonly name: string
  readonly line: number | undefined
  readonly variables: Map<string, Variable>
  readonly groups: Set<Group>
}

/**
 * Groups, hosts and their variables, put together as Ansible puts them together: whatever the form of the file, the rules
 * are these. Only variables that say how a host is reached are kept.
 */
export class Inventory {
  readonly #groups = new Map<string, Group>()
  readonly #hosts = new Map<string, Host>()
  #memberships = 0
  #steps = 0

  constructor() {
    this.addGroup('all')
    this.addGroup('ungrouped')
    this.addChild('all', 'ungrouped')
  }

  hasGroup(name: string): boolean {
    return this.#groups.has(name)
  }

  addGroup(name: string, line?: number): void {
    if (name === '') throw new InventoryError('a group has no name', line)
    if (this.#groups.has(name)) return
    if (this.#groups.size >= MAX_GROUPS) throw new InventoryError(`it has more than ${MAX_GROUPS} groups`, line)
    this.#groups.set(name, { name, variables: new Map(), children: new Set(), parents: new Set(), priority: 1 })
  }

  /** @param port that its name carries: `web1:2222`. Only the first mention counts, as with Ansible. */
  addHost(name: string, group: string | undefined, port: number | undefined, line?: number): void {
    if (name === '') throw new InventoryError('a host has no name', line)
    let host = this.#hosts.get(name)
    if (!host) {
      if (this.#hosts.size >= MAX_HOSTS) throw new InventoryError(`it has more than ${MAX_HOSTS} hosts`, line)
      host = { name, line, variables: new Map(), groups: new Set() }
      if (port !== undefined) host.variables.set('ansible_port', { value: port, ...(line !== undefined && { line }) })
      this.#hosts.set(name, host)
    }
    if (group !== undefined) {
      host.groups.add(this.#group(group, line))
      this.#count(line)
    }
  }

  addChild(parent: string, child: string, line?: number): void {
    const [above, below] = [this.#group(parent, line), this.#group(child, line)]
    if (above.children.has(below)) return
    if (above === below || this.#ancestors(above, line).has(below)) {
      throw new InventoryError(`the group ${showForeign(child, 64)} would be a part of itself`, line)
    }
    above.children.add(below)
    below.parents.add(above)
    this.#count(line)
  }

  /** A name that a group and a host share means the group. */
  setVariable(entity: string, name: string, variable: Variable): void {
    const group = this.#groups.get(entity)
    if (group && name === 'ansible_group_priority') {
      const priority = Number(variable.value)
      if (!Number.isSafeInteger(priority))
        throw new InventoryError('ansible_group_priority is no number', variable.line)
      group.priority = priority
    } else if (variableNames.has(name)) {
      const target = group ?? this.#hosts.get(entity)
      if (!target) throw new InventoryError(`there is no ${showForeign(entity, 64)}`, variable.line)
      target.variables.set(name, variable)
    }
  }

  /**
   * Every host with the variables that count for it: its own before those of its groups, those of a group before those of
   * the groups around it.
   */
  *hosts(): Generator<Host> {
    const order = sortGroups([...this.#groups.values()])
    for (const host of this.#hosts.values()) {
      const variables = new Map<string, Variable>()
      const groups = this.#groupsOf(host)
      for (const group of order) {
        if (groups.has(group)) for (const [name, variable] of group.variables) variables.set(name, variable)
      }
      for (const [name, variable] of host.variables) variables.set(name, variable)
      yield { ...host, variables }
    }
  }

  #groupsOf(host: Host): Set<Group> {
    const [all, ungrouped] = [this.#group('all'), this.#group('ungrouped')]
    const groups = new Set<Group>([all])
    for (const group of host.groups) {
      groups.add(group)
      for (const above of this.#ancestors(group)) groups.add(above)
    }
    const isGrouped = [...groups].some(group => group !== all && group !== ungrouped)
    if (isGrouped) groups.delete(ungrouped)
    else groups.add(ungrouped)
    return groups
  }

  #group(name: string, line?: number): Group {
    const group = this.#groups.get(name)
    if (!group) throw new InventoryError(`there is no group ${showForeign(name, 64)}`, line)
    return group
  }

  #ancestors(group: Group, line?: number): Set<Group> {
    const found = new Set<Group>()
    const open = [group]
    for (let next = open.pop(); next; next = open.pop()) {
      for (const parent of next.parents) {
        this.#steps += 1
        if (this.#steps > MAX_STEPS) throw new InventoryError('its groups stand in too many others', line)
        if (found.has(parent)) continue
        found.add(parent)
        open.push(parent)
      }
    }
    return found
  }

  #count(line: number | undefined): void {
    this.#memberships += 1
    if (this.#memberships > MAX_MEMBERSHIPS) throw new InventoryError('its groups have too many members', line)
  }
}

/** What comes later counts for more: first the depth, which is the longest way from `all`, then priority, then name. */
function sortGroups(groups: readonly Group[]): Group[] {
  const depths = new Map<Group, number>()
  // Parents before children: a group is looked at when all its parents were.
  const waiting = new Map(groups.map(group => [group, group.parents.size]))
  const open = groups.filter(group => group.parents.size === 0)
  for (let group = open.pop(); group; group = open.pop()) {
    const depth = depths.get(group) ?? (group.name === 'all' ? 0 : 1)
    depths.set(group, depth)
    for (const child of group.children) {
      depths.set(child, Math.max(depths.get(child) ?? 1, depth + 1))
      const left = (waiting.get(child) ?? 1) - 1
      waiting.set(child, left)
      if (left === 0) open.push(child)
    }
  }
  const depthOf = (group: Group) => depths.get(group) ?? 1
  return [...groups].sort(
    (a, b) => depthOf(a) - depthOf(b) || a.priority - b.priority || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0),
  )
}
