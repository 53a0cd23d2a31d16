import { constants } from 'node:fs'
import { open, rm } from 'node:fs/promises'
import { detectPrivate, KeytoolError } from '@keytool/keygen'
import { explain } from '../platform/file-trouble.js'
import { isOwn } from '../platform/place-check.js'
import { writeWhole } from '../platform/write.js'

/** A key that can be held again after a crash: its file is encrypted. */
export interface SealedSurvivor {
  readonly fingerprint: string
  readonly comment: string
  /** The encrypted key file's bytes. */
  readonly file: Buffer
  /** Under what conditions it is held, in whatever form the caller reads again. */
  readonly terms: Buffer
  /** When its lifetime ends: milliseconds since 1970. Absent: never. */
  readonly expires?: number
}

/** A key of which nothing but its name survives. */
export interface OpenSurvivor {
  readonly fingerprint: string
  readonly comment: string
  readonly expires?: number
}

export interface Survived {
  readonly sealed: readonly SealedSurvivor[]
  /** What a crash took: to be said to the user. */
  readonly lost: readonly OpenSurvivor[]
  /** Why nothing was restored although there is something. Fit to be shown. */
  readonly trouble?: string
}

export interface SurvivorsOptions {
  /** A file in `Places.runtime`. */
  readonly path: string
  /** How long changes are gathered before they are written, in milliseconds. Default: 200. */
  readonly delay?: number
  /** Hears of what can't be written: the agent goes on, but a crash would lose keys. */
  readonly onTrouble?: (trouble: string) => void
  /** Milliseconds since 1970. */
  readonly now?: () => number
}

/** What is kept for an agent that is started again after a crash. Never a secret: what is not encrypted is not kept. */
export interface Survivors {
  /** All keys that are held, open ones without a file too. Written a little later, in one go. Never throws. */
  save(keys: readonly (SealedSurvivor | OpenSurvivor)[]): void
  /** What was saved last. Keys whose lifetime has ended are left out. Never rejects. */
  load(): Promise<Survived>
  /** Resolves when what was saved is on disk. */
  flush(): Promise<void>
  /** Removes the file: the agent ends cleanly. What is saved from then on is not kept. */
  clear(): Promise<void>
}

const DELAY = 200
/** In bytes. The keys that do not fit in are kept by name only. */
const MAX_FILE = 8 * 1024 * 1024
const MAX_KEYS = 10_000
const NOTHING: Survived = { sealed: [], lost: [] }

export function createSurvivors(options: SurvivorsOptions): Survivors {
  return new SurvivorsFile(options)
}

class SurvivorsFile implements Survivors {
  readonly #path: string
  readonly #delay: number
  readonly #onTrouble: (trouble: string) => void
  readonly #now: () => number
  #next: readonly (SealedSurvivor | OpenSurvivor)[] | undefined
  #timer: NodeJS.Timeout | undefined
  /** One write after the other: the last one counts. */
  #writing: Promise<void> = Promise.resolve()
  #ended = false

  constructor({ path, delay = DELAY, onTrouble = () => undefined, now = Date.now }: SurvivorsOptions) {
    this.#path = path
    this.#delay = delay
    this.#onTrouble = onTrouble
    this.#now = now
  }

  save(keys: readonly (SealedSurvivor | OpenSurvivor)[]): void {
    if (this.#ended) return
    this.#next = [...keys]
    // Not pushed back by further changes, or an agent in steady use would never save.
    this.#timer ??= setTimeout(() => void this.flush(), this.#delay)
  }

  async load(): Promise<Survived> {
    try {
      const text = await readOwn(this.#path)
      return text === undefined ? NOTHING : decode(text, this.#now())
    } catch (error) {
      const { message, reason } = explain(error, this.#path, 'read')
      return { ...NOTHING, trouble: reason ? `${message}: ${reason}` : message }
    }
  }

  flush(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const keys = this.#next
    this.#next = undefined
    if (keys) this.#writing = this.#writing.then(() => this.#write(keys))
    return this.#writing
  }

  async clear(): Promise<void> {
    this.#ended = true
    clearTimeout(this.#timer)
    this.#next = undefined
    await this.#writing
    await this.#remove()
  }

  async #write(keys: readonly (SealedSurvivor | OpenSurvivor)[]): Promise<void> {
    if (this.#ended) return
    if (keys.length === 0) return this.#remove()
    try {
      const { bytes, dropped } = await encode(keys)
      await writeWhole(this.#path, bytes, { replace: true })
      if (dropped > 0) this.#onTrouble(`a crash would lose ${dropped} of ${keys.length} keys: ${this.#path} is full`)
    } catch (error) {
      this.#onTrouble(`a crash would lose the keys: ${(error as Error).message}`)
    }
  }

  async #remove(): Promise<void> {
    try {
      await rm(this.#path, { force: true })
    } catch (error) {
      this.#onTrouble(`${this.#path} can't be removed: ${(error as NodeJS.ErrnoException).code}`)
    }
  }
}

/** One key as it stands in the file, version 1. Without `file` it is one of which only this much survives. */
interface Line {
  readonly fingerprint: string
  readonly comment: string
  readonly expires?: number
  /** Base64, as `terms` is. */
  readonly file?: string
  readonly terms?: string
}

async function encode(keys: readonly (SealedSurvivor | OpenSurvivor)[]): Promise<{ bytes: Buffer; dropped: number }> {
  const lines: string[] = []
  let dropped = 0
  let left = MAX_FILE - 1024
  // Names first: there is room for those, whatever the files are like.
  const names = keys.slice(0, MAX_KEYS).map(key => JSON.stringify(lineOf(key, false)))
  for (const name of names) left -= Buffer.byteLength(name) + 1
  for (const [i, name] of names.entries()) {
    const key = keys[i]
    const whole = key && 'file' in key && (await isEncrypted(key.file)) ? JSON.stringify(lineOf(key, true)) : name
    const more = Buffer.byteLength(whole) - Buffer.byteLength(name)
    const fits = more <= left
    if (fits) left -= more
    else dropped++
    lines.push(fits ? whole : name)
  }
  return { bytes: Buffer.from(`{"version":1,"keys":[\n${lines.join(',\n')}\n]}\n`), dropped }
}

function lineOf(key: SealedSurvivor | OpenSurvivor, withFile: boolean): Line {
  const { fingerprint, comment, expires } = key
  return {
    fingerprint,
    comment: comment.slice(0, MAX_COMMENT),
    ...(expires !== undefined && { expires }),
    ...(withFile && 'file' in key && { file: key.file.toString('base64'), terms: key.terms.toString('base64') }),
  }
}

const MAX_COMMENT = 256

/** Looked at here, whoever vouches for it: a key in the clear must not get onto a disk. */
async function isEncrypted(file: Buffer): Promise<boolean> {
  try {
    return (await detectPrivate(file).inspect(file)).encrypted
  } catch {
    return false
  }
}

/** @throws KeytoolError `damaged` unless every line of it makes sense */
function decode(text: string, now: number): Survived {
  const keys = readLines(text).filter(({ expires }) => expires === undefined || expires > now)
  const sealed: SealedSurvivor[] = []
  const lost: OpenSurvivor[] = []
  for (const { file, terms, ...name } of keys) {
    if (file === undefined || terms === undefined) lost.push(name)
    else sealed.push({ ...name, file: Buffer.from(file, 'base64'), terms: Buffer.from(terms, 'base64') })
  }
  return { sealed, lost }
}

function readLines(text: string): readonly Line[] {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw broken('it is no JSON', cause)
  }
  const { version, keys } = (value ?? {}) as { version?: unknown; keys?: unknown }
  if (version !== 1) throw broken('its version is not 1')
  if (!Array.isArray(keys) || keys.length > MAX_KEYS || !keys.every(isLine)) throw broken('it lists no keys')
  return keys
}

function isLine(value: unknown): value is Line {
  if (typeof value !== 'object' || value === null) return false
  const { fingerprint, comment, expires, file, terms } = value as Record<string, unknown>
  const isNamed = typeof fingerprint === 'string' && typeof comment === 'string'
  const isLimited = expires === undefined || (typeof expires === 'number' && Number.isFinite(expires))
  const isWhole = file === undefined ? terms === undefined : isBase64(file) && isBase64(terms)
  return isNamed && isLimited && isWhole
}

function isBase64(value: unknown): boolean {
  return typeof value === 'string' && Buffer.from(value, 'base64').toString('base64') === value
}

/** The text of a plain file of the user's that nobody else can get at; undefined when there is none. */
async function readOwn(path: string): Promise<string | undefined> {
  const flags = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0)
  const file = await open(path, flags).catch(error => {
    if (error.code === 'ENOENT') return undefined
    throw error.code === 'ELOOP' ? broken('it is a link', error) : error
  })
  if (!file) return undefined
  try {
    const stats = await file.stat()
    if (!stats.isFile()) throw broken('it is no plain file')
    if (!isOwn(stats)) throw broken('it belongs to another user')
    if (process.platform !== 'win32' && (stats.mode & OTHERS) !== 0) throw broken('others can get at it')
    if (stats.size > MAX_FILE) throw broken(`it is larger than ${MAX_FILE} bytes`)
    return await file.readFile('utf8')
  } finally {
    await file.close()
  }
}

const OTHERS = 0o077

function broken(reason: string, cause?: unknown): KeytoolError {
  return new KeytoolError('damaged', "the keys held before a crash can't be restored", { reason, cause })
}
