import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { readIfThere, writeWhole } from '@keytool/agent/platform'
import { isKeytoolError, KeytoolError } from '@keytool/keygen'
import { findNear } from './near.js'
import { checkSession, checkSessionName, type Session } from './schema.js'

/** Thousands of forwards have room; what is larger is no session. In bytes. */
const MAX_SIZE = 1024 * 1024

/** What a folder of sessions holds: those that can be read, and why the others can't. */
export interface SessionList {
  readonly sessions: readonly Session[]
  readonly broken: readonly { readonly name: string; readonly error: KeytoolError }[]
}

/** Saved sessions, one JSON file each, in `<config>/sessions`. */
export class SessionStore {
  readonly #folder: string

  /** @param config the program's folder for settings */
  constructor(config: string) {
    this.#folder = join(config, 'sessions')
  }

  pathOf(name: string): string {
    return join(this.#folder, `${checkSessionName(name)}.json`)
  }

  /**
   * @returns where it was written
   * @throws KeytoolError `usage` for a field that can't be, `exists` unless it may be replaced, `unsupported` when a
   * newer program's file would be replaced, `failed` when it can't be written
   */
  async save(session: Session, options: { replace?: boolean } = {}): Promise<string> {
    checkGiven(session)
    const bytes = Buffer.from(`${JSON.stringify(session, null, 2)}\n`)
    // What could be written but never read again.
    if (bytes.length > MAX_SIZE) throw new KeytoolError('usage', `the session is larger than ${MAX_SIZE} bytes`)
    const path = this.pathOf(session.name)
    const { replace = false } = options
    const old = await readIfThere(path, MAX_SIZE)
    if (old && !replace) {
      throw new KeytoolError('exists', `there is a session ${session.name} already`, {
        reason: 'nothing was written',
        hint: '--force replaces it',
      })
    }
    if (old) refuseNewer(old)
    await writeWhole(path, bytes, { replace })
    return path
  }

  /** @throws KeytoolError `not-found` with names that may have been meant, `damaged`, `unsupported`, `usage` */
  async load(name: string): Promise<Session> {
    const path = this.pathOf(name)
    const bytes = await readIfThere(path, MAX_SIZE)
    if (!bytes) throw await this.#missing(name)
    const session = parse(bytes, path)
    if (session.name === name) return session
    throw new KeytoolError('damaged', `${path} is a session of another name`, { reason: `it says ${session.name}` })
  }

  async list(): Promise<SessionList> {
    const sessions: Session[] = []
    const broken: { name: string; error: KeytoolError }[] = []
    for (const name of await this.#names()) {
      try {
        sessions.push(await this.load(name))
      } catch (error) {
        if (!isKeytoolError(error)) throw error
        broken.push({ name, error })
      }
    }
    return { sessions, broken }
  }

  /** Removes it, readable or not. Throws `not-found`. */
  async remove(name: string): Promise<void> {
    const path = this.pathOf(name)
    try {
      await rm(path)
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'ENOENT') throw await this.#missing(name)
      throw new KeytoolError('failed', `${path} can't be removed`, { cause })
    }
  }

  async #names(): Promise<string[]> {
    const files = await readdir(this.#folder).catch((cause: NodeJS.ErrnoException) => {
      if (cause.code === 'ENOENT') return []
      throw new KeytoolError('failed', `${this.#folder} can't be read`, { cause })
    })
    // Temporary files begin with a dot, and no session's name does.
    return files.flatMap(file => /^([A-Za-z0-9_][A-Za-z0-9._-]{0,63})\.json$/.exec(file)?.[1] ?? []).sort()
  }

  async #missing(name: string): Promise<KeytoolError> {
    const near = findNear(name, await this.#names())
    return new KeytoolError('not-found', `there is no session ${name}`, {
      hint: near.length > 0 ? `did you mean ${near.join(' or ')}?` : `keytool session save ${name} --host HOST`,
    })
  }
}

/** What is wrong with a session that is to be saved is its author's mistake, not damage. */
function checkGiven(session: Session): void {
  try {
    checkSession(session)
  } catch (error) {
    if (!isKeytoolError(error) || error.code !== 'damaged') throw error
    throw new KeytoolError('usage', "the session can't be saved so", {
      ...(error.reason !== undefined && { reason: error.reason }),
      ...(error.hint !== undefined && { hint: error.hint }),
      cause: error,
    })
  }
}

function parse(bytes: Buffer, path: string): Session {
  try {
    return checkSession(JSON.parse(bytes.toString('utf8')))
  } catch (error) {
    if (!isKeytoolError(error)) {
      throw new KeytoolError('damaged', `${path} is no JSON`, {
        hint: 'mend it, or save the session anew',
        cause: error,
      })
    }
    const { code, message, reason } = error
    throw new KeytoolError(code, `${path}: ${message}`, { ...(reason !== undefined && { reason }), cause: error })
  }
}

/** Damage may be replaced; what a newer program wrote may not. */
function refuseNewer(old: Buffer): void {
  try {
    checkSession(JSON.parse(old.toString('utf8')))
  } catch (error) {
    if (isKeytoolError(error) && error.code === 'unsupported') throw error
  }
}
