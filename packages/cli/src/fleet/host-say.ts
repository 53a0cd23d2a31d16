import { Writable } from 'node:stream'
import { isKeytoolError, KeytoolError } from '@keytool/keygen'
import { Say } from '../say.js'

/** Nothing is ever written to it: all goes to the voice that this one speaks through. */
const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() })

export interface HostVoice {
  /** The one that is heard. */
  readonly say: Say
  /** The host, escaped: what is said on stderr has it in front. */
  readonly host: string | undefined
  /** Told what is being done there now; empty when that is over. */
  readonly onStatus: (text: string) => void
}

/** The voice of work on one host, beside that on others. */
export class HostSay extends Say {
  readonly #voice: HostVoice

  constructor(voice: HostVoice) {
    super({ name: voice.say.name, home: '', stdout: nowhere, stderr: nowhere, env: {} })
    this.#voice = voice
  }

  override configure(flags: Parameters<Say['configure']>[0]): void {
    this.#voice.say.configure(flags)
  }

  override get json(): boolean {
    return this.#voice.say.json
  }

  override data(bytes: string | Uint8Array): void {
    this.#voice.say.data(bytes)
  }

  override script(lines: string): void {
    this.#voice.say.script(lines)
  }

  override line(text?: string): void {
    this.#voice.say.line(text)
  }

  override facts(value: unknown): void {
    this.#voice.say.facts(value)
  }

  override done(text: string): void {
    this.#voice.say.done(text)
  }

  override note(text: string): void {
    const { say, host } = this.#voice
    say.note(host === undefined ? text : `${host}: ${text}`)
  }

  /** What is being done: it stands beside the host at the foot of the terminal. */
  override transient(text: string): void {
    this.#voice.onStatus(text)
  }

  /** The foot of the terminal shows all hosts: none has it for itself. */
  override block(_lines: readonly string[]): void {}

  override get hasFoot(): boolean {
    return false
  }

  override hideBlock(): () => void {
    return this.#voice.say.hideBlock()
  }

  override get unicode(): boolean {
    return this.#voice.say.unicode
  }

  override prompt(text: string): void {
    this.#voice.say.prompt(text)
  }

  override mark(good: boolean): string {
    return this.#voice.say.mark(good)
  }

  override paint(...args: Parameters<Say['paint']>): string {
    return this.#voice.say.paint(...args)
  }

  override get colourful(): boolean {
    return this.#voice.say.colourful
  }

  override word(path: string): string {
    return this.#voice.say.word(path)
  }

  override path(path: string): string {
    return this.#voice.say.path(path)
  }

  override error(error: unknown): void {
    const { say, host } = this.#voice
    say.error(host !== undefined && isKeytoolError(error) ? withHost(error, host) : error)
  }
}

/** Many errors name their host themselves. */
function withHost(error: KeytoolError, host: string): KeytoolError {
  const { code, message, reason, hint } = error
  if (message.includes(host)) return error
  return new KeytoolError(code, `${host}: ${message}`, {
    ...(reason !== undefined && { reason }),
    ...(hint !== undefined && { hint }),
    cause: error,
  })
}
