import { KeytoolError } from '@keytool/keygen'
import { isDynamic, readDynamic } from './dynamic.js'
import { type Form, tellForm } from './form.js'
import { readGroups } from './groups.js'
import type { InventoryHost } from './host.js'
import { readIni } from './ini.js'
import { type Inventory, InventoryError } from './inventory.js'
import { readJson } from './json.js'
import { readList } from './list.js'
import { damagedFile, decodeText, splitLines } from './text.js'
import type { Tree } from './tree.js'
import { readHost } from './variables.js'
import { readYaml } from './yaml.js'

export type { InventoryHost, ListedHost, PassedOver, RefusedHost } from './host.js'

interface Source {
  readonly text: string
  readonly lines: readonly string[]
  readonly name: string
}

const readers: Readonly<Record<Form, (source: Source) => Promise<readonly InventoryHost[]>>> = {
  list: async ({ lines }) => readList(lines),
  ini: async ({ lines }) => toHosts(readIni(lines)),
  yaml: async ({ text, name }) => toHosts(readTree(await readYaml(text), name)),
  // YAML in braces begins like JSON, and Ansible reads a .json by its YAML reader where it is none.
  json: async ({ text, name }) => toHosts(readTree(readJson(text) ?? (await readYaml(text)), name)),
  program: async ({ name }) => {
    throw onlyAnsible(`${name} is a program`, 'inventory programs are not run from here')
  },
  toml: async ({ name }) => {
    throw onlyAnsible(`${name} is an inventory in TOML`, 'only INI, YAML and JSON are read here')
  },
}

/**
 * The hosts of a file, each once, in the order they stand there: a plain list, or an inventory of Ansible's as INI, YAML or
 * JSON, such as `ansible-inventory --list` prints. Nothing in it is evaluated or run.
 * @param bytes at most 1 MiB, UTF-8; of hosts at most 10 000
 * @param name the file's, for errors; its ending may tell the form
 * @throws KeytoolError `damaged` or `unsupported` for the file as a whole. What is wrong with one host stands at that host
 */
export async function readInventory(bytes: Buffer, name: string): Promise<readonly InventoryHost[]> {
  const text = decodeText(bytes, name)
  const lines = splitLines(text)
  try {
    return await readers[tellForm(lines, name)]({ text, lines, name })
  } catch (error) {
    if (error instanceof InventoryError) throw damagedFile(name, error.line, error.message, error)
    throw error
  }
}

function readTree(tree: Tree, name: string): Inventory {
  if (tree.kind !== 'map') throw new InventoryError('it is no map of groups', tree.line)
  const plugin = tree.entries.get('plugin')
  if (plugin?.value.kind === 'leaf') {
    throw onlyAnsible(`${name} says where Ansible is to get its inventory`, 'it names no hosts itself')
  }
  return isDynamic(tree) ? readDynamic(tree) : readGroups(tree)
}

function toHosts(inventory: Inventory): InventoryHost[] {
  return Array.from(inventory.hosts(), readHost)
}

/** What Ansible alone can read has a way round. */
function onlyAnsible(message: string, reason: string): KeytoolError {
  return new KeytoolError('unsupported', message, {
    reason,
    hint: 'ansible-inventory -i FILE --list, and its output as the file of hosts (- is standard input)',
  })
}
