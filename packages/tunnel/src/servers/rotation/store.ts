import { createHash } from 'node:crypto'
import { readdir, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { makeFolder, readIfThere, writeWhole } from '@keytool/agent/platform'
import { fingerprint, isKeytoolError, KeytoolError, type PublicKey } from '@keytool/keygen'
import { checkChange, formatJournal, type Journal, MAX_JOURNAL, parseJournal } from './journal.js'
import { takeLock } from './lock.js'
import { checkOwn } from './own.js'

/** A journal that nobody else goes on with meanwhile. */
export interface HeldJournal {
  readonly path: string
  readonly current: Journal
  /**
   * Writes it down, whole. Resolves once it is on disk: what it announces may be done then.
   * @throws KeytoolError `failed` when it can't be written, or somebody else has written there
   */
  change(edit: (journal: Journal) => Journal): Promise<void>
  /** Takes it away: nothing is left to be undone or to be gone on with. */
  remove(): Promise<void>
  /** Lets others have it. */
  release(): Promise<void>
}

/** The journals of rotations, one JSON file each, in `<state>/rotations`. */
export class RotationStore {
  readonly #folder: string

  /** @param state the program's folder for what survives a restart */
  constructor(state: string) {
    this.#folder = join(state, 'rotations')
  }

  /** Whoever may write the folder above may put another one in its place. */
  async #checkFolders(): Promise<void> {
    for (const folder of [dirname(this.#folder), this.#folder]) await checkOwn(folder)
  }

  pathOf(old: PublicKey, fresh: PublicKey): string {
    return join(this.#folder, `${shorten(`${fingerprint(old)} ${fingerprint(fresh)}`)}.json`)
  }

  /**
   * All that can be read; why the others can't.
   * @throws KeytoolError `failed`
   */
  async list(): Promise<{ readonly journals: readonly Journal[]; readonly broken: readonly KeytoolError[] }> {
    try {
      await this.#checkFolders()
    } catch (error) {
      if (!isKeytoolError(error)) throw error
      return { journals: [], broken: [error] }
    }
    const names = await readdir(this.#folder).catch((cause: NodeJS.ErrnoException) => {
      if (cause.code === 'ENOENT') return []
      throw new KeytoolError('failed', `${this.#folder} can't be read`, { cause })
    })
    const journals: Journal[] = []
    const broken: KeytoolError[] = []
    for (const name of names.filter(each => /^[0-9a-f]{16}\.json$/.test(each)).sort()) {
      try {
        const path = join(this.#folder, name)
        const bytes = await readOwn(path)
        if (bytes) journals.push(parseJournal(bytes, path))
      } catch (error) {
        if (!isKeytoolError(error)) throw error
        broken.push(error)
      }
    }
    return { journals: journals.sort((a, b) => a.since.localeCompare(b.since)), broken }
  }

  /**
   * The journal of this rotation, which is nobody else's until it is released: as it stands, or a new one, which is not
   * written before it is changed. A key is in one rotation at a time.
   * @throws KeytoolError `refused` while another program rotates one of the keys, and where others may write; `damaged` or `unsupported` for a journal
   * that is not understood, which stays as it is
   */
  async hold(old: PublicKey, fresh: PublicKey, make: () => Journal): Promise<HeldJournal> {
    await makeFolder(this.#folder)
    await this.#checkFolders()
    const path = this.pathOf(old, fresh)
    const locks: (() => Promise<void>)[] = []
    const release = async () => {
      for (const give of locks.splice(0)) await give()
    }
    try {
      // In one order, so that of two who want the same pair one gets both.
      for (const name of [old, fresh].map(key => shorten(fingerprint(key))).sort()) {
        locks.push(await takeLock(join(this.#folder, `.${name}.lock`), 'one of the keys is being rotated'))
      }
      const bytes = await readOwn(path)
      return hold(path, bytes ? parseJournal(bytes, path) : make(), bytes, release)
    } catch (error) {
      await release()
      throw error
    }
  }
}

async function readOwn(path: string): Promise<Buffer | undefined> {
  await checkOwn(path)
  return readIfThere(path, MAX_JOURNAL)
}

/** @param there what lies at its place */
function hold(path: string, first: Journal, there: Buffer | undefined, release: () => Promise<void>): HeldJournal {
  let current = first
  let written = there
  let last: Promise<void> = Promise.resolve()
  let next: Promise<void> | undefined

  async function write(): Promise<void> {
    const bytes = formatJournal(current)
    if (bytes.length > MAX_JOURNAL)
      throw new KeytoolError('usage', 'that is more than the journal of one rotation holds')
    // The lock keeps others away; whoever took it away by hand is not written over.
    const found = await readIfThere(path, MAX_JOURNAL)
    if (written ? !found?.equals(written) : found) throw changed(path)
    await writeWhole(path, bytes, { replace: written !== undefined })
    written = bytes
  }

  return {
    path,
    get current() {
      return current
    },
    // Hosts that come to it while it is written share the next time.
    async change(edit) {
      const edited = edit(current)
      checkChange(current, edited)
      current = edited
      next ??= last.then(() => {
        next = undefined
        const writing = write()
        last = writing.catch(() => {})
        return writing
      })
      return next
    },
    async remove() {
      await last
      await rm(path, { force: true })
    },
    release,
  }
}

function changed(path: string): KeytoolError {
  return new KeytoolError('failed', `${path} was changed by another program meanwhile`, {
    reason: 'what it announces was not done',
    hint: 'keytool rotate --resume goes on from what stands there',
  })
}

function shorten(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16)
}
