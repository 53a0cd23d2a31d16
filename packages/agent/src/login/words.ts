import { isAbsolute, posix, win32 } from 'node:path'
import { KeytoolError } from '@keytool/keygen'
import type { Environment } from '../platform/places.js'
import type { LoginFacts, Variable, Words } from './service.js'

/** keytool with these arguments. */
export function programWords(facts: LoginFacts, ...args: string[]): Words {
  return [facts.node, ...facts.nodeArguments, facts.program, ...args]
}

/** Where settings and state lie, if this user has them elsewhere: whatever starts things at login may not know it. */
export function placeVariables({ env }: LoginFacts): readonly Variable[] {
  return ['XDG_CONFIG_HOME', 'XDG_STATE_HOME'].flatMap(name => {
    const path = absolute(env[name])
    return path === undefined ? [] : [[name, path] as const]
  })
}

/**
 * Makes sure that the words can stand in a file of lines.
 * @throws KeytoolError `unsupported`
 */
export function checkWords(words: readonly string[], forbidden: RegExp = CONTROL): void {
  const word = words.find(each => forbidden.test(each))
  if (word === undefined) return
  throw new KeytoolError('unsupported', `the path ${JSON.stringify(word)} can't be written in a login service`, {
    hint: 'install keytool at a path of plain characters',
  })
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
export const CONTROL: RegExp = /[\0-\x1f\x7f\ufffe\uffff]|\p{Cs}/u

/** `$XDG_CONFIG_HOME`, where it is a path. */
export function configHome(env: Environment, home: string): string {
  return absolute(env['XDG_CONFIG_HOME']) ?? posix.join(home, '.config')
}

/** The XDG specification: a relative path in these variables is to be ignored. */
function absolute(path: string | undefined): string | undefined {
  return path !== undefined && posix.isAbsolute(path) ? path : undefined
}

/** @throws KeytoolError `unsupported`: what is started at login starts in a folder of the system's choice */
export function checkAbsolute({ system, node, program }: LoginFacts): void {
  const check = system === 'win32' ? win32.isAbsolute : isAbsolute
  for (const path of [node, program]) {
    if (!check(path)) throw new KeytoolError('unsupported', `${path} is no absolute path`)
  }
}

/** In the content of an element, and between double quotes. */
export function escapeXml(text: string): string {
  return text.replace(/[<>&"']/g, character => `&#${character.charCodeAt(0)};`)
}
