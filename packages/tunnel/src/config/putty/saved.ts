import { isKeytoolError, KeytoolError } from '@keytool/keygen'
import { readHostKeyLines, readIni, readKittyLines, readSessionLines } from './lines.js'
import { unescapeName } from './percent.js'
import { isRegistry, readRegistry } from './registry.js'
import { MAX_SAVED, type Saved, type SavedHostKey, type SavedSettings } from './settings.js'
import { decodeText } from './text.js'
import { fromWinscp } from './winscp.js'

/** Programs whose settings are read. */
export type SavedBy = 'putty' | 'kitty' | 'winscp'

interface Product {
  /** Its key below `Software`. */
  readonly key: string
  /** Its settings in PuTTY's names, where it has names of its own. */
  readonly adapt?: (settings: SavedSettings) => SavedSettings
}

/** One row a program. */
const products: Readonly<Record<SavedBy, Product>> = {
  putty: { key: 'simontatham\\putty' },
  kitty: { key: '9bis.com\\kitty' },
  winscp: { key: 'martin prikryl\\winscp 2', adapt: fromWinscp },
}

/** What a file of settings is, as far as it is one of those that are read here. */
export type SavedForm = 'registry' | 'winscp-ini' | 'host-keys' | 'kitty-session' | 'session'

const forms: readonly (readonly [SavedForm, (text: string) => boolean])[] = [
  ['registry', isRegistry],
  ['winscp-ini', text => /^\[(?:Sessions\\|SshHostKeys\]|Configuration\\)/im.test(text)],
  ['host-keys', text => /^[\w-]{1,64}@\d{1,5}:\S{1,1024} (?:0x|nistp)/m.test(text)],
  ['kitty-session', text => /^(?:HostName|PortNumber|Protocol)\\.*\\$/m.test(text)],
  ['session', text => /^(?:HostName|PortNumber|Protocol|Present)=/m.test(text)],
]

/** What the bytes of a file are, or `undefined` for none of these. */
export function detectSaved(bytes: Uint8Array): SavedForm | undefined {
  try {
    const text = decodeText(bytes)
    return forms.find(([, fits]) => fits(text))?.[0]
  } catch (error) {
    if (isKeytoolError(error)) return undefined
    throw error
  }
}

type Read = (text: string, name: string, by: readonly SavedBy[]) => Saved

const readers: Readonly<Record<SavedForm, Read>> = {
  registry: (text, _, by) => {
    const keys = readRegistry(text)
    return merge(by.map(program => fromRegistry(keys, products[program])))
  },
  'winscp-ini': text => fromIni(text),
  'host-keys': text => ({ sessions: [], hostKeys: readHostKeyLines(text), authorities: 0 }),
  'kitty-session': (text, name) => alone(name, readKittyLines(text)),
  session: (text, name) => alone(name, readSessionLines(text)),
}

/**
 * Reads a file of settings: a registry export, WinSCP.ini, a session's file or the host keys' of PuTTY on Unix or KiTTY.
 * @param name of the file: a session's file says its session's name
 * @param by whose settings are taken from a registry export; default: all that are known
 * @throws KeytoolError `unsupported` for another kind of file, `damaged` for a broken one or one with over 10,000 entries
 */
export function readSaved(
  bytes: Uint8Array,
  name: string,
  by: readonly SavedBy[] = Object.keys(products) as SavedBy[],
): Saved {
  const form = detectSaved(bytes)
  if (form === undefined) {
    throw new KeytoolError('unsupported', 'these are no sessions that are known here', {
      hint: "take a registry export (.reg), PuTTY's or KiTTY's sessions, or WinSCP.ini",
    })
  }
  return checkSize(readers[form](decodeText(bytes), unescapeName(name), by))
}

/** Several as one. Throws `damaged` when they are too many. */
export function merge(parts: readonly Saved[]): Saved {
  return checkSize({
    sessions: parts.flatMap(({ sessions }) => sessions),
    hostKeys: parts.flatMap(({ hostKeys }) => hostKeys),
    authorities: parts.reduce((sum, { authorities }) => sum + authorities, 0),
  })
}

function checkSize(saved: Saved): Saved {
  if (saved.sessions.length <= MAX_SAVED && saved.hostKeys.length <= MAX_SAVED) return saved
  throw new KeytoolError('damaged', `there are over ${MAX_SAVED} sessions or host keys in it`)
}

function alone(name: string, values: ReadonlyMap<string, string>): Saved {
  return { sessions: [{ name, values }], hostKeys: [], authorities: 0 }
}

function fromRegistry(keys: ReturnType<typeof readRegistry>, { key, adapt = same }: Product): Saved {
  const sessions: SavedSettings[] = []
  const hostKeys: SavedHostKey[] = []
  let authorities = 0
  for (const { path, values } of keys) {
    const place = path.toLowerCase().lastIndexOf(`\\software\\${key}\\`)
    if (place < 0) continue
    const [group = '', ...rest] = path.slice(place + `\\software\\${key}\\`.length).split('\\')
    const name = unescapeName(rest.join('\\'))
    if (group.toLowerCase() === 'sessions' && name !== '') sessions.push(adapt({ name, values }))
    if (group.toLowerCase() === 'sshhostcas' && name !== '') authorities++
    if (group.toLowerCase() === 'sshhostkeys') hostKeys.push(...toHostKeys(values))
  }
  return { sessions, hostKeys, authorities }
}

function fromIni(text: string): Saved {
  const sections = readIni(text)
  const sessions = sections.flatMap(({ name, values }) => {
    const session = /^Sessions\\(.+)$/i.exec(name)?.[1]
    // WinSCP marks names in UTF-8 with a byte order mark.
    return session === undefined ? [] : [fromWinscp({ name: unescapeName(session).replace(/^\ufeff/, ''), values })]
  })
  const hostKeys = sections
    .filter(({ name }) => /^SshHostKeys$/i.test(name))
    .flatMap(({ values }) => toHostKeys(values))
  return { sessions, hostKeys, authorities: 0 }
}

function toHostKeys(values: ReadonlyMap<string, string>): SavedHostKey[] {
  return [...values].map(([name, value]) => ({ name: unescapeName(name), value }))
}

function same(settings: SavedSettings): SavedSettings {
  return settings
}
