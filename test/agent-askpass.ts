import { chmod, mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Environment } from './world/home.js'

// An askpass program that writes down what it is asked, and waits until the test lets it answer.

export interface Question {
  readonly text: string
  /** What SSH_ASKPASS_PROMPT said: `confirm`, or nothing for a passphrase. */
  readonly kind: string
  readonly pid: number
}

export interface Askpass {
  /** What makes an agent ask it. */
  readonly env: Environment
  /** How many questions were put so far. */
  count(): Promise<number>
  /** The question of that number, from 1, once it is put. */
  waitFor(number: number): Promise<Question>
  /** Puts the question's answer on its standard output, and ends with 0. */
  answer(number: number, line: string): Promise<void>
  /** Has it end as a user does who closes the window. */
  refuse(number: number): Promise<void>
}

/** Ends by itself after half a minute: nothing is left behind by a test that fails. */
const program = `#!/bin/sh
cd "$(dirname "$0")/questions" || exit 9
number=1
while ! mkdir $number 2>/dev/null; do number=$((number + 1)); done
cd $number
printf '%s' "$1" >text
printf '%s' "$SSH_ASKPASS_PROMPT" >kind
echo $$ >pid.new
mv pid.new pid
for try in $(seq 600); do
  [ -e refused ] && exit 1
  [ -e answer ] && exec cat answer
  sleep 0.05
done
exit 1
`

const PATIENCE_MS = 25_000

/** @param folder an empty one, for the program and all that it writes */
export async function makeAskpass(folder: string): Promise<Askpass> {
  const questions = join(folder, 'questions')
  const path = join(folder, 'askpass')
  await mkdir(questions, { recursive: true })
  await writeFile(path, program)
  await chmod(path, 0o700)
  const read = (number: number, name: string) => readFile(join(questions, String(number), name), 'utf8')
  const count = async () => (await readdir(questions)).length
  return {
    env: { SSH_ASKPASS: path, SSH_ASKPASS_REQUIRE: 'force' },
    count,
    async waitFor(number) {
      const pid = await until(`question ${number}`, () => read(number, 'pid').catch(() => undefined))
      return { text: await read(number, 'text'), kind: await read(number, 'kind'), pid: Number(pid) }
    },
    async answer(number, line) {
      const file = join(questions, String(number), 'answer')
      await writeFile(`${file}.new`, `${line}\n`)
      await rename(`${file}.new`, file)
    },
    refuse: number => writeFile(join(questions, String(number), 'refused'), ''),
  }
}

/** Waits for a condition. Throws when the time is over. */
export async function until<T>(what: string, look: () => Promise<T | undefined | false>, ms = PATIENCE_MS): Promise<T> {
  const end = Date.now() + ms
  for (;;) {
    const found = await look()
    if (found !== undefined && found !== false) return found
    if (Date.now() > end) throw new Error(`${what} did not come within ${ms} ms`)
    await sleep(20)
  }
}
