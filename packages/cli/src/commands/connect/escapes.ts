import { Transform } from 'node:stream'

/** What can be typed to us instead of to the far side, after the escape character at the beginning of a line. */
const commands = { '.': 'end', '?': 'help', '#': 'forwards', '\x1a': 'suspend' } as const

export type EscapeCommand = (typeof commands)[keyof typeof commands]

/** Bytes for the far side, and commands for us, in the order in which they were typed. */
export type Typed = Uint8Array | EscapeCommand

const [NEWLINE, RETURN] = [0x0a, 0x0d]

/** Finds escapes in what is typed, by ssh's rules (ssh(1), ESCAPE CHARACTERS). */
export class Escapes {
  readonly #character: number
  #atLineStart = true
  /** The escape character was typed, and waits for what follows. */
  #pending = false

  /** @param character as a byte */
  constructor(character: number) {
    this.#character = character
  }

  read(bytes: Uint8Array): Typed[] {
    const typed: Typed[] = []
    let kept: number[] = []
    for (const byte of bytes) {
      const command = this.#pending ? findCommand(byte) : undefined
      if (command) {
        this.#pending = false
        if (kept.length > 0) typed.push(Uint8Array.from(kept))
        kept = []
        typed.push(command)
        continue
      }
      if (!this.#pending && this.#atLineStart && byte === this.#character) {
        this.#pending = true
        continue
      }
      // Twice is once; before anything else it was meant as it stands.
      if (this.#pending && byte !== this.#character) kept.push(this.#character)
      this.#pending = false
      kept.push(byte)
      this.#atLineStart = byte === NEWLINE || byte === RETURN
    }
    if (kept.length > 0) typed.push(Uint8Array.from(kept))
    return typed
  }

  /** What still waits at the end of everything. */
  end(): Uint8Array {
    const pending = this.#pending
    this.#pending = false
    return Uint8Array.from(pending ? [this.#character] : [])
  }
}

function findCommand(byte: number): EscapeCommand | undefined {
  const key = String.fromCharCode(byte)
  return Object.hasOwn(commands, key) ? commands[key as keyof typeof commands] : undefined
}

/** The same as a stream of what is for the far side. */
export function escapeStream(escapes: Escapes, obey: (command: EscapeCommand) => void): Transform {
  return new Transform({
    transform(bytes: Buffer, _encoding, done) {
      for (const typed of escapes.read(bytes)) {
        if (typeof typed === 'string') obey(typed)
        else this.push(typed)
      }
      done()
    },
    flush(done) {
      const rest = escapes.end()
      if (rest.length > 0) this.push(rest)
      done()
    },
  })
}

/** What `~?` shows. */
export function helpOnEscapes(character: string): string {
  return [
    `${character}?`,
    'Escapes, at the beginning of a line:',
    ` ${character}.   end the connection`,
    ` ${character}^Z  suspend it`,
    ` ${character}#   list what is forwarded`,
    ` ${character}?   this`,
    ` ${character}${character}   the character itself`,
  ].join('\n')
}

/** How the character is written: `~`, `^B`. */
export function showEscape(character: number): string {
  return character < 0x20 ? `^${String.fromCharCode(character | 0x40)}` : String.fromCharCode(character)
}
