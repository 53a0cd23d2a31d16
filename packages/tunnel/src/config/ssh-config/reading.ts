import { isAbsolute, sep } from 'node:path'
import type { Environment } from '@keytool/agent/platform'
import { KeytoolError } from '@keytool/keygen'
import { type Draft, ignore } from './draft.js'
import { MAX_INCLUDES, readLines } from './files.js'
import { findPaths } from './glob.js'
import { findKeyword } from './keywords.js'
import { type Line, Words } from './line.js'
import { judgeHost, judgeMatch, matchesList } from './match.js'
import { NOT_HONOURED } from './not-honoured.js'
import { failAt, type Place, quote, showPath } from './place.js'
import type { HostQuery } from './settings.js'
import { expand, expandTilde, type Naming, tokensFor } from './tokens.js'
import { splitArguments, splitKeyword } from './words.js'

/** `READCONF_MAX_DEPTH`. */
const MAX_DEPTH = 16

/** A file and how it is taken. */
export interface Source {
  readonly path: string
  /** Where its relative includes lie. */
  readonly folder: string
  /** Whether `~` may stand in its includes: the system's file belongs to nobody's home. */
  readonly isUsers: boolean
  readonly checks: boolean
  readonly isNamed: boolean
}

/** What a reading is about, besides the query. */
export interface Surroundings {
  readonly query: HostQuery
  readonly env: Environment
  readonly uid: number | undefined
  /** What is known of the connection so far, for criteria and for the paths of includes. */
  naming(): Naming
}

/** Whether the lines that follow are about this host: a Host or Match line changes it. */
interface State {
  active: boolean
  /** Included where lines are not about this host: nothing in it can be. */
  readonly never: boolean
  readonly depth: number
}

/** One pass over files, in which the first word on a thing counts. */
export class Reading {
  readonly #draft: Draft
  readonly #around: Surroundings
  readonly #isFinal: boolean
  /** What was read once is not read again: both passes see the same. */
  readonly #lines: Map<string, readonly string[] | undefined>
  #read = 0
  #wantsFinal = false

  constructor(
    draft: Draft,
    around: Surroundings,
    isFinal: boolean,
    lines: Map<string, readonly string[] | undefined> = new Map(),
  ) {
    this.#draft = draft
    this.#around = around
    this.#isFinal = isFinal
    this.#lines = lines
  }

  /** A Match line asked for another pass, with the host's name settled. */
  get wantsFinal(): boolean {
    return this.#wantsFinal
  }

  /**
   * One of `-o`, as a line of a file that is about every host.
   * @throws KeytoolError
   */
  readOption(text: string): void {
    const place = { file: `-o ${quote(text)}`, line: 0 }
    if (/[\r\n\0]/.test(text)) throw failAt(place, 'it is more than one line')
    const line = this.#split(text, place, true)
    if (!line) throw failAt(place, 'it is written -o KEYWORD=VALUE')
    if (line.keyword in this.#blocks) throw failAt(place, `${quote(line.keyword)} stands in files only`)
    this.#take(line)
  }

  /**
   * All of a file, and what it includes.
   * @returns whether it is there
   * @throws KeytoolError
   */
  async readFile(source: Source): Promise<boolean> {
    return this.#readFile(source, { active: true, never: false, depth: 0 })
  }

  async #readFile(source: Source, state: State): Promise<boolean> {
    const { home } = this.#around.query
    const file = showPath(source.path, home)
    if (state.depth > MAX_DEPTH) {
      throw new KeytoolError('damaged', `${file}: files include each other more than ${MAX_DEPTH} deep`)
    }
    if (this.#read++ > MAX_INCLUDES) {
      throw new KeytoolError('damaged', `${file}: more than ${MAX_INCLUDES} files are included`)
    }
    if (!this.#lines.has(source.path)) {
      this.#lines.set(source.path, await readLines(source.path, { ...source, home, uid: this.#around.uid }))
    }
    const lines = this.#lines.get(source.path)
    if (!lines) return false
    for (const [index, text] of lines.entries()) {
      const line = this.#split(text, { file, line: index + 1 }, state.active)
      if (!line) continue
      const block = this.#blocks[line.keyword]
      if (block) await block(line, state, source)
      else this.#take(line)
    }
    return true
  }

  #split(text: string, place: Place, active: boolean): Line | undefined {
    try {
      const split = splitKeyword(text)
      if (!split) return undefined
      const { keyword, rest } = split
      if (rest === '') throw new SyntaxError(`there is nothing behind ${quote(keyword)}`)
      return { keyword, rest, words: new Words(splitArguments(rest), keyword, place), place, active }
    } catch (cause) {
      if (cause instanceof SyntaxError) throw failAt(place, cause.message)
      throw cause
    }
  }

  #take(line: Line): void {
    const { keyword, place, active } = line
    const honour = findKeyword(keyword)
    if (honour) {
      honour(line, this.#draft, this.#around.env)
      line.words.end()
      return
    }
    const ignored = this.#draft.texts.ignoreUnknown?.text
    if (!NOT_HONOURED.has(keyword) && !(ignored !== undefined && matchesList(ignored.toLowerCase(), keyword))) {
      throw failAt(place, `${quote(keyword)} is no keyword of ssh's`, 'see ssh_config(5); IgnoreUnknown passes it over')
    }
    if (active) ignore(this.#draft, { keyword, ...place })
  }

  /** Keywords that say for whom the others are, and where more of them are. */
  readonly #blocks: Readonly<Record<string, (line: Line, state: State, source: Source) => void | Promise<void>>> =
    Object.assign(Object.create(null), {
      host: (line: Line, state: State) => {
        // The second pass is about the name that was settled.
        const host = this.#isFinal ? this.#around.naming().host : this.#around.query.host
        const matches = judgeHost(line, host)
        state.active = matches && !state.never
      },
      match: (line: Line, state: State) => {
        const { typedHost, host, user, localUser } = this.#around.naming()
        const { query } = this.#around
        const tag = this.#draft.plain.tag ?? ''
        const subject = { typedHost, host, user, localUser, tag, command: query.command ?? '', isFinal: this.#isFinal }
        const { matches, undecided, wantsFinal } = judgeMatch(line, subject)
        if (wantsFinal) this.#wantsFinal = true
        if (undecided !== undefined && !state.never) ignore(this.#draft, { keyword: undecided, ...line.place })
        state.active = matches === true && !state.never
      },
      include: async (line: Line, state: State, source: Source) => {
        const patterns = line.words.rest()
        if (patterns.length === 0 || patterns.includes('')) throw line.words.fail('a file is missing')
        for (const pattern of patterns) await this.#include(pattern, line, state, source)
      },
    })

  async #include(pattern: string, { words }: Line, state: State, source: Source): Promise<void> {
    const { query, env } = this.#around
    const { depth } = state
    let paths: string[]
    try {
      const path = expand(pattern, { tokens: tokensFor(this.#around.naming()), env })
      if (path.startsWith('~') && !source.isUsers) throw new SyntaxError("the system's file has no home")
      const whole = path.startsWith('~') ? expandTilde(path, query.home) : path
      const anchored = isAbsolute(whole) ? whole : `${source.folder}/${whole}`
      paths = await findPaths(anchored.split(sep).join('/'), MAX_INCLUDES)
    } catch (cause) {
      if (cause instanceof SyntaxError || cause instanceof RangeError) throw words.fail(cause.message)
      throw cause
    }
    // A Host or Match line in there ends with its file.
    const never = state.never || !state.active
    for (const path of paths) {
      const inner = { active: state.active, never, depth: depth + 1 }
      await this.#readFile({ ...source, path, checks: true, isNamed: false }, inner)
    }
  }
}
