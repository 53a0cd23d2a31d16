import { readWhole } from '@keytool/agent/platform'
import { KeytoolError, showForeign } from '@keytool/keygen'
import type { Context } from './context.js'
import type { Strength } from './passphrase/strength.js'
import { inTurn } from './turn.js'

/** A passphrase is shorter than this, in bytes; what is longer is another file. */
const MAX_SECRET = 64 * 1024
/** How long an askpass program may stand open. */
const ASKPASS_LIMIT_MS = 10 * 60 * 1000

/**
 * The first line of a file (`-` is standard input), as it stands: no trimming, the line's end is not part of it.
 * @param what names the secret in errors: `passphrase`, `password`
 */
export async function readSecretFile(path: string, what: string, context: Context): Promise<Buffer> {
  if (path === '-') fromStdin ??= readStdin(context)
  // A copy: whoever uses the secret wipes it.
  const bytes = Buffer.from(path === '-' && fromStdin ? await fromStdin : await readWhole(path, MAX_SECRET))
  const end = bytes.indexOf(10)
  const line = end < 0 ? bytes : bytes.subarray(0, bytes[end - 1] === 13 ? end - 1 : end)
  if (line.includes(0)) throw new KeytoolError('damaged', `the ${what} in ${path} has a NUL byte in it`)
  return line
}

/** `one try left`, `2 tries left`. */
export function triesLeft(left: number): string {
  return left === 1 ? 'one try left' : `${left} tries left`
}

/** Whether somebody can be asked, on this terminal or through whoever started us. */
export function hasTerminal({ stdin, asker, asksNobody = false }: Context): boolean {
  if (asksNobody) return false
  return asker !== undefined || (stdin.isTTY === true && process.stderr.isTTY === true)
}

/** Whether a secret can be asked for at all. */
export function canAskSecret(context: Context): boolean {
  return askpassProgram(context) !== undefined || hasTerminal(context)
}

/**
 * Asks for a secret: through SSH_ASKPASS or on the terminal.
 * @param prompt names the secret and whose it is, such as `passphrase for ~/.ssh/id_ed25519`
 * @param mayShow whether the answer may be seen while it is typed
 * @throws KeytoolError `secret-needed` at once when nobody can be asked, `cancelled` on Ctrl-C
 */
export async function askSecret(prompt: string, hint: string, context: Context, mayShow = false): Promise<Buffer> {
  const safe = showForeign(prompt)
  const askpass = askpassProgram(context)
  if (askpass) return inTurn(() => runAskpass(askpass, `${safe}: `, context))
  if (!hasTerminal(context)) {
    throw new KeytoolError('secret-needed', `the ${safe} is needed`, {
      reason: context.asksNobody ? 'BatchMode has nobody asked' : 'there is no terminal to ask on, and no SSH_ASKPASS',
      hint,
    })
  }
  if (context.asker) return context.asker.secret(safe, mayShow, context.leaving)
  const answer = await prompted<string>(
    mayShow
      ? { type: 'input', message: safe }
      : { type: 'passphrase', message: safe, columns: () => process.stderr.columns },
    context,
  )
  return Buffer.from(answer, 'utf8')
}

/**
 * Asks for a secret that is being chosen: like {@link askSecret}, with a word beside the input that says how strong it is.
 * @param known words that a guesser would try first: the user's name, the file's
 */
export async function askNewSecret(
  prompt: string,
  hint: string,
  context: Context,
  known: readonly string[] | 'unrated',
): Promise<Buffer> {
  if (askpassProgram(context) || !hasTerminal(context)) return askSecret(prompt, hint, context)
  const { say } = context
  const { labelColours, rateStrength } = await loadHelp()
  const answer = await prompted<string>(
    {
      type: 'passphrase',
      message: showForeign(prompt),
      ...(known !== 'unrated' && { rate: (typed: string) => rateStrength(typed, known) }),
      show: ({ label }: Strength) => say.paint(labelColours[label], label, process.stderr),
      columns: () => process.stderr.columns,
    },
    context,
  )
  return Buffer.from(answer, 'utf8')
}

/** What only those who choose a passphrase on a terminal pay for. */
const loadHelp = async () => ({
  ...(await import('./passphrase/strength.js')),
  ...(await import('./passphrase/prompt.js')),
})

/** A question, mostly with a default that is right for most. Asked on the terminal only. */
export async function askText(message: string, context: Context, fallback?: string): Promise<string> {
  if (context.asker) return context.asker.text(showForeign(message), fallback, context.leaving)
  const question = {
    type: 'input',
    message: showForeign(message),
    ...(fallback !== undefined && { default: fallback }),
  }
  return prompted<string>(question, context)
}

/** Yes or no. Enter alone means `fallback`. */
export async function askYes(message: string, context: Context, fallback = false): Promise<boolean> {
  return prompted<boolean>({ type: 'confirm', message: showForeign(message), default: fallback }, context)
}

/** One of several. */
export async function askChoice<T extends string>(
  message: string,
  choices: readonly { value: T; name: string }[],
  context: Context,
): Promise<T> {
  return prompted<T>({ type: 'select', message, choices: [...choices] }, context)
}

/**
 * One question by inquirer, on stderr, so that stdout stays clean for data. The library takes 100 ms to load, so only
 * those who are asked pay for it.
 */
function prompted<T>(question: Record<string, unknown>, context: Context): Promise<T> {
  return inTurn(() => promptedAlone(question, context))
}

async function promptedAlone<T>(question: Record<string, unknown>, { say, stdin, leaving }: Context): Promise<T> {
  // The library looks at the environment alone.
  if (!say.colourful) process.env['NO_COLOR'] = '1'
  const { default: inquirer } = await import('inquirer')
  const show = say.hideBlock()
  const ended = new AbortController()
  // After Ctrl-D, or when the terminal goes away, the library waits for the process to end. A connection that is open
  // would keep it alive, with the terminal showing what is typed.
  const noticeEnd = () => setImmediate(() => ended.abort())
  for (const event of endings) stdin.on(event, noticeEnd)
  const leave = () => ended.abort()
  leaving?.addEventListener('abort', leave)
  if (leaving?.aborted) leave()
  const ask = inquirer.createPromptModule({ output: process.stderr, signal: ended.signal })
  if (question['type'] === 'passphrase') {
    ask.registerPrompt('passphrase', (await (await loadHelp()).makePassphrasePrompt()) as never)
  }
  try {
    const { answer } = await ask([{ name: 'answer', theme: { prefix: '?' }, ...question }] as never)
    return answer as T
  } catch (error) {
    if (!['ExitPromptError', 'AbortPromptError'].includes((error as Error).name)) throw error
    throw new KeytoolError('cancelled', 'stopped at the prompt', { reason: 'nothing was changed', cause: error })
  } finally {
    for (const event of endings) stdin.off(event, noticeEnd)
    leaving?.removeEventListener('abort', leave)
    show()
  }
}

/** What the input does when no more keys will come. */
const endings = ['pause', 'end', 'close'] as const

/** OpenSSH's rule (ssh(1), SSH_ASKPASS_REQUIRE), save that no X display is asked for: askpass programs are not all X's. */
function askpassProgram(context: Context): string | undefined {
  const { SSH_ASKPASS: program, SSH_ASKPASS_REQUIRE: require } = context.env
  if (!program || require === 'never' || context.asksNobody) return undefined
  if (require === 'force' || require === 'prefer') return program
  return hasTerminal(context) ? undefined : program
}

async function runAskpass(program: string, prompt: string, { env }: Context): Promise<Buffer> {
  const { spawn } = await import('node:child_process')
  // The prompt is one argument of its own: no shell looks at it.
  const child = spawn(program, [prompt], { stdio: ['ignore', 'pipe', 'inherit'], env })
  const timer = setTimeout(() => child.kill(), ASKPASS_LIMIT_MS)
  const parts: Buffer[] = []
  let size = 0
  child.stdout.on('data', (part: Buffer) => {
    size += part.length
    if (size > MAX_SECRET) child.kill()
    else parts.push(part)
  })
  const status = await new Promise<number | null>((resolve, reject) => {
    child.once('error', cause =>
      reject(new KeytoolError('secret-needed', `SSH_ASKPASS ${program} can't be run`, { cause })),
    )
    child.once('close', resolve)
  }).finally(() => clearTimeout(timer))
  if (status !== 0) throw new KeytoolError('secret-needed', 'the askpass program gave no answer')
  const answer = Buffer.concat(parts)
  const end = answer.indexOf(10)
  return end < 0 ? answer : answer.subarray(0, answer[end - 1] === 13 ? end - 1 : end)
}

/** Standard input is read once; whoever asks again gets the same. */
let fromStdin: Promise<Buffer> | undefined

async function readStdin({ stdin }: Context): Promise<Buffer> {
  const parts: Buffer[] = []
  let size = 0
  for await (const part of stdin) {
    const bytes = Buffer.isBuffer(part) ? part : Buffer.from(String(part))
    size += bytes.length
    if (size > MAX_SECRET) throw new KeytoolError('damaged', 'standard input is too long to be a secret')
    parts.push(bytes)
    // The first line is enough; whatever feeds us may stay open.
    if (bytes.includes(10)) break
  }
  return Buffer.concat(parts)
}
