import type { Transform } from 'node:stream'
import type { Environment } from '@keytool/agent/platform'
import { type Charset, findCharset, makeTranscoder, terminalCharset, transcodingStream } from '@keytool/tunnel'

/** Which of the three are terminals. */
export interface Terminals {
  readonly stdin: boolean
  readonly stdout: boolean
  readonly stderr: boolean
}

export interface Turning {
  /** The far side's charset. */
  readonly far: Charset
  readonly input: Transform
  readonly output: Transform
  readonly errors: Transform
}

/**
 * The streams that turn the far side's charset into the terminal's, and back; into UTF-8 where no terminal is.
 * @param name as given or saved; `none` and `undefined` for bytes that are left as they are
 * @param onLost told once when something was typed that the far side's charset lacks
 * @throws KeytoolError `usage` for a charset that is not known
 */
export async function turnCharset(
  name: string | undefined,
  terminals: Terminals,
  env: Environment,
  onLost: (charset: Charset) => void,
): Promise<Turning | undefined> {
  if (name === undefined || name === 'none') return undefined
  const far = findCharset(name)
  const [terminal, utf8] = [terminalCharset(env), findCharset('utf-8')]
  const near = (isTerminal: boolean) => (isTerminal ? terminal : utf8)
  const [input, output, errors] = await Promise.all([
    makeTranscoder(near(terminals.stdin), far),
    makeTranscoder(far, near(terminals.stdout)),
    makeTranscoder(far, near(terminals.stderr)),
  ])
  return {
    far,
    input: transcodingStream(input, () => onLost(far)),
    output: transcodingStream(output),
    errors: transcodingStream(errors),
  }
}
