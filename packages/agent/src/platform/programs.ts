import { posix, win32 } from 'node:path'
import type { Program } from '../who.js'
import type { ProgramReader } from './peer-source.js'

/** How many processes are looked at, up from the one that connected. */
const DEPTH = 8

/** What is read of a program's arguments, in bytes. */
export const ARGUMENTS_SIZE = 4096

const SHELL = /^(?:ba|da|z|k|mk|fi|tc|c|a|ya|nu|pw)?sh$|^(?:nu|elvish|xonsh|busybox|login|init|systemd|launchd)$/

/** What others start to have it talk to a server, or sign, for them. */
const CLIENT = /^(?:ssh|ssh-keygen|scp|sftp|plink|pscp|psftp)$/

/**
 * The program that connected and behind it those that started it, nearest first, up to where people begin: a shell, or
 * what leads a session. One that calls itself again counts once. A shell that another program has started with `-c` is no
 * place where anybody types, and is passed over: git starts ssh so when it was told how.
 *
 * What it says is as good as the moment: among the programs of one user, who may as well attach debuggers or preload
 * libraries, it informs and is no wall.
 */
export function tracePrograms(pid: number, reader: ProgramReader): readonly Program[] {
  const found: Program[] = []
  let next = pid
  let since = Number.POSITIVE_INFINITY
  for (let depth = 0; depth < DEPTH && next > 0; depth++) {
    const seen = reader.look(next)
    // One that is younger than its child has the number of somebody who is gone.
    if (!seen || seen.start > since) break
    const { program, parent, start, leads } = seen
    const isShell = found.length > 0 && SHELL.test(program.name)
    if (found.length > 0 && next === 1) break
    // What leads a session is a desktop or a terminal, but for what starts a client of SSH all by itself: `setsid git fetch`.
    if (leads && found.length > 0 && !(CLIENT.test(found.at(-1)?.name ?? '') && !isShell)) break
    if (isShell && !isToldWhat(reader.argumentsOf(next))) break
    if (!isShell && !isSame(found.at(-1), program)) found.push(program)
    if (leads && found.length > 1) break
    next = parent
    since = start
  }
  return found
}

/** Whether a shell was started with its command, as in `sh -c …`, `bash -eo pipefail -c …`. */
function isToldWhat(words: readonly string[]): boolean {
  for (let i = 1; words[i]?.startsWith('-'); i++) {
    const word = words[i] ?? ''
    if (/^-[a-z]*c/i.test(word)) return true
    if (/^-[a-z]*o$/i.test(word)) i++
  }
  return false
}

function isSame(a: Program | undefined, b: Program): boolean {
  return a !== undefined && a.name === b.name && a.path === b.path
}

/** A program that runs others' text, and how its command line leads to that text. */
interface Interpreter {
  readonly name: RegExp
  /** Options that have the next word as their value. */
  readonly valued: ReadonlySet<string>
  /** Options that carry the program itself, so that there is no script. */
  readonly inline: ReadonlySet<string>
  /** The option that names a module instead. */
  readonly module?: string
}

const interpreters: readonly Interpreter[] = [
  { name: /^(?:python|pypy)[\d.]*$/, valued: new Set(['-W', '-X']), inline: new Set(['-c', '-']), module: '-m' },
  {
    name: /^node(?:js)?$/,
    valued: new Set(['-r', '--require', '--import', '--loader', '--experimental-loader', '-C', '--conditions']),
    inline: new Set(['-e', '--eval', '-p', '--print', '-pe', '-']),
  },
  { name: /^(?:ruby|jruby)[\d.]*$/, valued: new Set(['-I', '-r', '-E', '-C']), inline: new Set(['-e', '-']) },
  { name: /^perl[\d.]*$/, valued: new Set(['-I', '-M', '-m']), inline: new Set(['-e', '-E', '-']) },
]

/** A script is called as people type it, linked or not: `keytool`, whose file is `keytool.cjs`. */
const ENDING = /(?<=.)\.(?:[cm]?js|pyw?|rb|pl)$/

/**
 * What people call a program: its file's name, or of what runs scripts the script's, without the language's ending. This is
 * the name in prompts and the ledger, and the one that a policy's `programs` means.
 *
 * @param path what it runs: a path, or a name where nothing else is known
 * @param words its command line; asked for only when it matters
 */
export function nameOf(path: string, words: () => readonly string[]): string {
  const name = baseOf(path)
  const interpreter = interpreters.find(each => each.name.test(name))
  return (interpreter && scriptOf(interpreter, words())) || name
}

function scriptOf({ valued, inline, module }: Interpreter, words: readonly string[]): string | undefined {
  for (let i = 1; i < words.length; i++) {
    const word = words[i] ?? ''
    if (word === module) return words[i + 1]
    if (inline.has(word)) return undefined
    if (valued.has(word)) i++
    else if (!word.startsWith('-')) return baseOf(word).replace(ENDING, '')
  }
  return undefined
}

function baseOf(path: string): string {
  return /^[a-z]:\\/i.test(path) ? win32.basename(path) : posix.basename(path)
}

/** Words that each end with a zero byte; the last one may be cut. */
export function wordsOf(bytes: Buffer): string[] {
  const words = bytes.toString('utf8').split('\0')
  if (words.at(-1) === '') words.pop()
  return words
}
