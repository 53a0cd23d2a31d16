import type { Writable } from 'node:stream'
import type { Environment } from '@keytool/agent/platform'
import { isKeytoolError, showForeign } from '@keytool/keygen'
import { cutToWidth, shortenPath, widthOf } from './text.js'

type Stream = Writable & { readonly isTTY?: boolean; readonly columns?: number; readonly rows?: number }

export interface SayOptions {
  readonly name: string
  readonly home: string
  readonly stdout: Stream
  readonly stderr: Stream
  readonly env: Environment
}

/** The longest path that Linux knows, in bytes; longer text in an error is cut. */
const MAX_PATH = 4096
/** What is kept, in lines, while a question stands; who is away for a night wants to read the last ones. */
const MAX_HELD = 200

const colours = { green: 32, red: 31, yellow: 33, dim: 2, bold: 1 } as const
type Colour = keyof typeof colours
/** Line ends, and what {@link Say.paint} puts in. */
const OURS = new RegExp(`(\\n|${'\u001b'}\\[(?:0|${Object.values(colours).join('|')})m)`)

/**
 * The one voice: what goes to stdout, what to stderr, with which marks and colours. Commands say what happened; how it
 * looks on this terminal is decided here.
 */
export class Say {
  readonly name: string
  readonly #options: SayOptions
  #json = false
  #quiet = false
  #colour: boolean
  /** What stands at the foot of the terminal, and how wide the lines are of it that are drawn now. */
  #block: readonly string[] = []
  #drawn: readonly number[] = []
  /** While a question stands: what is said meanwhile, which would be written into the answer. */
  #held: [stream: Stream, text: string][] | undefined

  constructor(options: SayOptions) {
    this.name = options.name
    this.#options = options
    this.#colour = !options.env['NO_COLOR'] && options.env['TERM'] !== 'dumb'
  }

  /** The flags every command takes. */
  configure(flags: { json?: boolean | undefined; quiet?: boolean | undefined; color?: boolean | undefined }): void {
    this.#json = flags.json === true
    this.#quiet = flags.quiet === true
    if (flags.color === false) this.#colour = false
  }

  get json(): boolean {
    return this.#json
  }

  /** Data: the same on a terminal and in a pipe. */
  data(bytes: string | Uint8Array): void {
    this.#options.stdout.write(bytes)
  }

  /** Lines for a shell to evaluate: quiet or not, they are what was asked for; with `--json` the facts are. */
  script(lines: string): void {
    if (!this.#json) this.data(lines)
  }

  /** A fact for people, on stdout; not with `--json` or `--quiet`. */
  line(text = ''): void {
    if (!this.#json && !this.#quiet) this.#say(this.#options.stdout, `${this.#clean(text, this.#options.stdout)}\n`)
  }

  /** Facts for programs: one JSON value on stdout, with `--json` only. */
  facts(value: unknown): void {
    if (this.#json) this.#options.stdout.write(`${toJson(value)}\n`)
  }

  /** Something done: `✓ text` for people. */
  done(text: string): void {
    this.line(`${this.mark(true)} ${text}`)
  }

  /** A word beside the work, on stderr; not with `--quiet`. */
  note(text: string): void {
    if (!this.#quiet) this.#say(this.#options.stderr, `${this.#clean(text)}\n`)
  }

  /** A line on stderr that the next one takes the place of; empty to take it away. On a terminal only, never with `--quiet`. */
  transient(text: string): void {
    const { stderr } = this.#options
    if (!this.#quiet && stderr.isTTY === true) stderr.write(`\r\u001b[K${this.#clean(text)}`)
  }

  /**
   * Lines at the foot of the terminal, in the place of those before; none to take them away. What else is said goes above
   * them. On a terminal only, not with `--json` or `--quiet`.
   */
  block(lines: readonly string[]): void {
    if (!this.hasFoot) return
    this.#block = lines
    this.#say(this.#options.stdout, '')
  }

  /** Whether {@link Say.block} shows anything. */
  get hasFoot(): boolean {
    const { stdout, env } = this.#options
    return stdout.isTTY === true && !this.#json && !this.#quiet && env['TERM'] !== 'dumb'
  }

  /**
   * Makes room for a question, and keeps quiet meanwhile. Returns what brings the lines at the foot back, and what was held
   * back before them.
   */
  hideBlock(): () => void {
    this.#eraseBlock()
    this.#held ??= []
    return () => {
      const held = this.#held ?? []
      this.#held = undefined
      for (const [stream, text] of held) stream.write(text)
      this.#say(this.#options.stdout, '')
    }
  }

  /** Whether more than ASCII can be shown. */
  get unicode(): boolean {
    const { stdout, env } = this.#options
    const locale = env['LC_ALL'] || env['LC_CTYPE'] || env['LANG'] || ''
    return stdout.isTTY === true && (/utf-?8/i.test(locale) || process.platform === 'win32')
  }

  #say(stream: Stream, text: string, isUrgent = false): void {
    if (this.#held && !isUrgent) {
      if (text !== '') this.#held.push([stream, text])
      if (this.#held.length > MAX_HELD) this.#held.shift()
      return
    }
    this.#eraseBlock()
    if (text !== '') stream.write(text)
    if (this.#held || this.#block.length === 0) return
    const { stdout } = this.#options
    const { columns = 80, rows = 24 } = stdout
    // A line that the terminal would break, or more lines than it has, could not be taken away again.
    const lines = this.#block.slice(0, Math.max(1, rows - 1))
    const shown = lines.map(line => cutToWidth(this.#clean(line, stdout), columns - 1))
    stdout.write(`${shown.join('\n')}\n`)
    this.#drawn = shown.map(widthOf)
  }

  #eraseBlock(): void {
    const { stdout } = this.#options
    // A terminal that has become narrower since has broken them.
    const { columns = 80, rows = 24 } = stdout
    const height = this.#drawn.reduce((sum, width) => sum + Math.max(1, Math.ceil(width / columns)), 0)
    if (height > 0) stdout.write(`\u001b[${Math.min(height, rows - 1)}F\u001b[J`)
    this.#drawn = []
  }

  /** What somebody must see before they answer a question: on stderr, whatever else is quiet. */
  prompt(text: string): void {
    this.#say(this.#options.stderr, `${this.#clean(text)}\n`, true)
  }

  /** The mark of success or failure that this terminal can show. */
  mark(good: boolean): string {
    if (!this.unicode) return good ? 'ok' : 'failed'
    return good ? this.paint('green', '✓') : this.paint('red', '✗')
  }

  paint(colour: Colour, text: string, stream: Stream = this.#options.stdout): string {
    return this.#colour && stream.isTTY === true ? `\u001b[${colours[colour]}m${text}\u001b[0m` : text
  }

  /** Whether colours may be used at all; each stream still has to be a terminal. */
  get colourful(): boolean {
    return this.#colour
  }

  /** A path as a word of a line to type. */
  word(path: string): string {
    const shown = this.path(path)
    // What begins with ~ by itself is a name, not the home folder.
    if (/^~?[\w@%+=:,./-]+$/.test(shown) && !path.startsWith('~')) return shown
    return `'${showForeign(path, MAX_PATH).replaceAll("'", "'\\''")}'`
  }

  /** A path as people read it: from `~`, escaped. */
  path(path: string): string {
    return showForeign(shortenPath(path, this.#options.home), MAX_PATH)
  }

  /** An error: what, why, what next. Three lines at the most, or one JSON object. Returns nothing but the words. */
  error(error: unknown): void {
    const { stderr, home } = this.#options
    const known = isKeytoolError(error)
    const code = known ? error.code : 'failed'
    const message = known ? error.message : `unexpected: ${error instanceof Error ? error.message : String(error)}`
    const reason = known ? error.reason : undefined
    const hint = known ? error.hint : 'please report this, with the command you ran'
    if (this.#json) {
      stderr.write(`${toJson({ error: { code, message, reason, hint: hint && this.#named(hint) } })}\n`)
      return
    }
    const clean = (text: string) => showForeign(shortenPath(text, home), MAX_PATH)
    const lines = [`${this.paint('red', `${this.name}:`, stderr)} ${clean(message)}`]
    if (reason) lines.push(`  ${clean(reason)}`)
    if (hint) lines.push(`  ${clean(this.#named(hint))}`)
    this.#say(stderr, `${lines.join('\n')}\n`, true)
  }

  /** Nothing reaches a terminal that could act on it but line ends and our own colours, whoever forgot to escape it. */
  #clean(text: string, stream: Stream = this.#options.stderr): string {
    const mayPaint = this.#colour && stream.isTTY === true
    return text
      .split(OURS)
      .map((part, i) =>
        i % 2 === 1 && (part === '\n' || mayPaint) ? part : showForeign(part, Number.POSITIVE_INFINITY),
      )
      .join('')
  }

  /** The libraries say `keytool list`; whoever was called ssh-keytool has to say that. */
  #named(hint: string): string {
    return hint.replace(/\bkeytool(?= [a-z])/g, this.name)
  }
}

/** JSON in which nothing stands raw that a terminal could act on. It means the same. */
function toJson(value: unknown): string {
  return JSON.stringify(value).replace(/[\u007f-\u009f\p{Cf}\p{Zl}\p{Zp}]/gu, characters =>
    Array.from(
      { length: characters.length },
      (_, i) => `\\u${characters.charCodeAt(i).toString(16).padStart(4, '0')}`,
    ).join(''),
  )
}
