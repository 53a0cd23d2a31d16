import { nameOfHost } from '@keytool/keygen'

/** Of a command line, and of each word: what is longer names no host. */
const MAX_WORDS = 64
const MAX_WORD = 1024
/** Names that one source is good for. */
const MAX_NAMES = 4096

const HOST = /^[A-Za-z0-9_.%:][A-Za-z0-9_.%:-]{0,254}$/
/** `ssh -p 22`, `scp -P 22`; the number may be a word of its own. */
const PORT_FLAG = /^-[pP](\d{1,5})?$/
const PORT_OPTION = /^(?:-o)?port[= ](\d{1,5})$/i
const HOST_OPTION = /^(?:-o)?(?:hostname|hostkeyalias|proxyjump)[= ](.+)$/i

/**
 * What the words of a command line may call a host, as known_hosts would name it: of `ssh -p 2222 git@web` it is `web` and
 * `[web]:2222`. Guesses, to be tried.
 */
export function namesInWords(words: readonly string[]): string[] {
  const hosts: string[] = []
  const ports = new Set([22])
  const short = words.slice(0, MAX_WORDS).filter(({ length }) => length <= MAX_WORD)
  for (const [index, word] of short.entries()) {
    const port = portIn(word, short[index + 1])
    if (port !== undefined) ports.add(port)
    const text = HOST_OPTION.exec(word)?.[1] ?? word.replace(/^-J/, '')
    for (const part of text.startsWith('-') ? [] : text.split(',')) {
      const found = splitHost(part)
      if (!found) continue
      hosts.push(found.host)
      if (found.port !== undefined) ports.add(found.port)
    }
  }
  return combine(hosts, ports)
}

/** The same for an ssh_config: what `Host`, `HostName` and `HostKeyAlias` say, with the `Port` of their block. `Include` is not followed. */
export function namesInConfig(text: string): string[] {
  const names = new Set<string>()
  let block: Block = newBlock()
  const finish = () => {
    const hosts = [...block.aliases, ...block.hosts.flatMap(host => expand(host, block.aliases))]
    for (const name of combine(hosts, block.ports)) if (names.size < MAX_NAMES) names.add(name)
  }
  for (const line of text.split('\n')) {
    const [, keyword = '', value = ''] =
      /^\s*(\w+)(?:\s*=\s*|\s+)([^#]{1,1024})/.exec(line.slice(0, 2 * MAX_WORD)) ?? []
    const read = keywords.get(keyword.toLowerCase())
    if (!read) continue
    if (read === startBlock || read === startUnknown) {
      finish()
      block = newBlock()
    }
    read(block, value.replaceAll('"', ' ').trim())
  }
  finish()
  return [...names]
}

interface Block {
  aliases: string[]
  readonly hosts: string[]
  readonly ports: Set<number>
}

const newBlock = (): Block => ({ aliases: [], hosts: [], ports: new Set([22]) })

function startBlock(block: Block, value: string): void {
  block.aliases = value.split(/\s+/).filter(word => HOST.test(word))
}

/** Whom a `Match` is about can't be told from here. */
function startUnknown(): void {}

function addHost(block: Block, value: string): void {
  block.hosts.push(value)
}

function addPort(block: Block, value: string): void {
  if (/^\d{1,5}$/.test(value)) block.ports.add(Number(value))
}

/** One row a keyword that names hosts, or begins a block. */
const keywords: ReadonlyMap<string, (block: Block, value: string) => void> = new Map([
  ['host', startBlock],
  ['match', startUnknown],
  ['hostname', addHost],
  ['hostkeyalias', addHost],
  ['port', addPort],
])

/** `%h` is what the user has written. */
function expand(host: string, aliases: readonly string[]): string[] {
  const all = host.includes('%h') ? aliases.map(alias => host.replaceAll('%h', alias)) : [host]
  return all.filter(each => HOST.test(each))
}

function portIn(word: string, next: string | undefined): number | undefined {
  const flag = PORT_FLAG.exec(word)
  const digits = flag ? (flag[1] ?? next) : PORT_OPTION.exec(word)?.[1]
  return digits !== undefined && /^\d{1,5}$/.test(digits) ? Number(digits) : undefined
}

/** `user@host`, `ssh://user@host:port/path`, `host:path`, `[host]:port`, an address of IPv6. */
function splitHost(word: string): { host: string; port?: number } | undefined {
  const [, scheme, rest = ''] = /^([a-z+]+:\/\/)?(.*)$/s.exec(word) ?? []
  const place = scheme === undefined ? rest : rest.replace(/\/.*$/s, '')
  const at = place.slice(place.lastIndexOf('@') + 1)
  const [, bracketed, plain, after] = /^(?:\[([^\]]*)\]|([^:]*))(?::(.*))?$/s.exec(at) ?? []
  // More than one colon and no brackets: an address of IPv6.
  const host = bracketed ?? (after?.includes(':') && HOST.test(at) ? at : plain) ?? ''
  if (!HOST.test(host)) return undefined
  return after !== undefined && /^\d{1,5}$/.test(after) ? { host, port: Number(after) } : { host }
}

function combine(hosts: readonly string[], ports: ReadonlySet<number>): string[] {
  const names = hosts.flatMap(host => Array.from(ports, port => nameOfHost(host, port)))
  return [...new Set(names)].slice(0, MAX_NAMES)
}
