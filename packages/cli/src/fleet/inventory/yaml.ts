import { showForeign } from '@keytool/keygen'
import type { Alias, Document, LineCounter, Node, Pair, Tags, YAMLMap } from 'yaml'
import { InventoryError } from './inventory.js'
import { type Entry, MAX_DEPTH, type Mapping, type Tree } from './tree.js'
import type { Scalar } from './value.js'
import { checkShape } from './yaml-shape.js'

type Library = typeof import('yaml')

/**
 * Reads YAML 1.1, which Ansible reads, with the lines of all that stands there. What an alias stands for is shared, not
 * copied, so that a file can't grow in memory.
 * @throws InventoryError
 */
export async function readYaml(text: string): Promise<Tree> {
  const library = await import('yaml')
  checkShape(new library.Lexer().lex(text))
  const lines = new library.LineCounter()
  const documents = parse(library, text, lines)
  const [document, another] = documents
  if (!document) throw new InventoryError('nothing stands in it')
  if (another) throw new InventoryError('it holds more than one document')
  const [error] = document.errors
  if (error) throw new InventoryError(`it is no YAML: ${showForeign(error.message)}`, lines.linePos(error.pos[0]).line)
  return new Translation(library, lines).translate(document.contents)
}

function parse(library: Library, text: string, lineCounter: LineCounter): readonly Document.Parsed[] {
  try {
    const options = {
      version: '1.1',
      customTags: asPython,
      uniqueKeys: false,
      lineCounter,
      prettyErrors: false,
      logLevel: 'error',
    } as const
    const documents = library.parseAllDocuments(text, options)
    return Array.isArray(documents) ? documents : []
  } catch {
    // It recurses, and a file made for it exhausts the stack.
    throw new InventoryError('it is no YAML that can be read')
  }
}

/** Texts that YAML 1.1 takes for a switch or a number, and the reader of Python's, which is Ansible's, does not. */
const TEXTS = /^(?:[yn]|[-+]?[0-9_]+[eE][-+]?[0-9]+)$/i

function asPython(known: Tags): Tags {
  return known.map(tag => {
    if (typeof tag !== 'object' || !('test' in tag) || !tag.test) return tag
    const { test } = tag
    return {
      ...tag,
      test: Object.assign(new RegExp(test), { test: (text: string) => !TEXTS.test(text) && test.test(text) }),
    }
  })
}

/** What a value with such a tag is. A tag that is not here makes the value one that can't be used. */
const tags: Readonly<Record<string, { why?: string; isLiteral?: boolean }>> = {
  '!vault': { why: "it is encrypted by Ansible's vault" },
  '!vault-encrypted': { why: "it is encrypted by Ansible's vault" },
  '!unsafe': { isLiteral: true },
}

class Translation {
  readonly #library: Library
  readonly #lines: LineCounter
  /** By what was translated already. A mapping is here before its parts are: it may hold itself. */
  readonly #done = new Map<Node, Tree>()
  /** Those met so far: an alias stands for the last one of its name before it. */
  readonly #anchors = new Map<string, Node>()

  constructor(library: Library, lines: LineCounter) {
    this.#library = library
    this.#lines = lines
  }

  translate(node: unknown, depth = 0): Tree {
    const { isAlias, isMap, isSeq, isScalar, isNode } = this.#library
    if (depth > MAX_DEPTH) throw new InventoryError('it goes too deep', isNode(node) ? this.#lineOf(node) : undefined)
    if (isAlias(node)) return this.translate(this.#resolve(node), depth + 1)
    if (!isNode(node)) return { kind: 'leaf', value: null }
    const known = this.#done.get(node)
    if (known) return known
    const { anchor } = node as { anchor?: string }
    if (anchor !== undefined) this.#anchors.set(anchor, node)
    const line = this.#lineOf(node)
    const at = line === undefined ? {} : { line }
    const tag = typeof node.tag === 'string' && node.tag.startsWith('!') ? node.tag : undefined
    if (tag !== undefined && tags[tag]?.isLiteral !== true) {
      return { kind: 'leaf', value: undefined, why: tags[tag]?.why ?? `it has a tag of its own, ${tag}`, ...at }
    }
    if (isMap(node)) {
      const entries = new Map<Scalar, Entry>()
      const tree: Mapping = { kind: 'map', entries, ...at }
      this.#done.set(node, tree)
      this.#fill(entries, node, depth)
      return tree
    }
    if (isSeq(node)) {
      const items: Tree[] = []
      const tree: Tree = { kind: 'list', items, ...at }
      this.#done.set(node, tree)
      for (const item of node.items) items.push(this.translate(item, depth + 1))
      return tree
    }
    const value = isScalar(node) ? toScalar(node.value) : undefined
    const why = value === undefined ? { why: 'it is no plain value' } : {}
    return { kind: 'leaf', value, ...why, ...(tag !== undefined && { isLiteral: true }), ...at }
  }

  #fill(entries: Map<Scalar, Entry>, map: YAMLMap, depth: number): void {
    const merged: Mapping[] = []
    const own: [Scalar, Entry][] = []
    for (const pair of map.items) {
      const key = this.translate(pair.key, depth + 1)
      if (key.kind !== 'leaf' || key.value === undefined) throw new InventoryError('a key is no plain value', key.line)
      if (isMerge(pair)) merged.push(...toMappings(this.translate(pair.value, depth + 1), key.line))
      else
        own.push([
          key.value,
          { value: this.translate(pair.value, depth + 1), ...(key.line !== undefined && { line: key.line }) },
        ])
    }
    // What is merged in comes first, and of several the first one counts.
    for (const each of merged.toReversed()) for (const [key, entry] of each.entries) entries.set(key, entry)
    for (const [key, entry] of own) entries.set(key, entry)
  }

  #resolve(alias: Alias): Node {
    const target = this.#anchors.get(alias.source)
    if (target === undefined) throw new InventoryError('an alias stands for nothing', this.#lineOf(alias))
    return target
  }

  #lineOf(node: Node): number | undefined {
    const [start] = node.range ?? []
    return start === undefined ? undefined : this.#lines.linePos(start).line
  }
}

function isMerge({ key }: Pair): boolean {
  const { value, type } = (key ?? {}) as { value?: unknown; type?: string }
  return type === 'PLAIN' && (value === '<<' || typeof value === 'symbol')
}

function toMappings(tree: Tree, line: number | undefined): Mapping[] {
  const parts = tree.kind === 'list' ? tree.items : [tree]
  return parts.map(part => {
    if (part.kind !== 'map') throw new InventoryError('what is merged in is no map', line)
    return part
  })
}

function toScalar(value: unknown): Scalar | undefined {
  if (value === null || value === undefined) return null
  if (typeof value === 'symbol') return '<<'
  return ['string', 'number', 'bigint', 'boolean'].includes(typeof value) ? (value as Scalar) : undefined
}
