import { sep } from 'node:path'
import { isKeytoolError, KeytoolError } from '@keytool/keygen'
import { parseJson, parsePolicy } from './parse.js'
import type { KeyRule } from './policy.js'

/**
 * The file with one rule added, or changed where there is one about that key: members that are given replace the old
 * ones, all else stays as it is.
 * @param bytes the file as it is; `undefined` where there is none
 * @param rule its `file` is absolute; with the `fingerprint` as well, a rule that names either is found
 * @param path for errors
 * @throws KeytoolError `damaged` or `unsupported` for a file that is not understood, `usage` for a rule that can't stand in one
 */
export function withKeyRule(bytes: Buffer | undefined, rule: KeyRule, path: string, home: string): Buffer {
  const old = bytes ?? Buffer.from('{ "version": 1 }')
  const rules = parsePolicy(old, path, home).keys
  const json = parseJson(old) as { readonly keys?: readonly object[] }
  const at = rules.findIndex(each => isSame(each, rule))
  const given = { ...rule, ...(rule.file !== undefined && { file: shorten(rule.file, home) }) }
  const keys = [...(json.keys ?? [])]
  keys[at < 0 ? keys.length : at] = { ...keys[at], ...given }
  const made = Buffer.from(`${JSON.stringify({ ...json, keys }, null, 2)}\n`)
  checkMade(made, path, home)
  return made
}

function isSame(one: KeyRule, other: KeyRule): boolean {
  const members = ['file', 'fingerprint'] as const
  return members.some(name => one[name] !== undefined && one[name] === other[name])
}

/** So that the file still holds when the home folder moves. */
function shorten(file: string, home: string): string {
  return file.startsWith(`${home}${sep}`) ? `~/${file.slice(home.length + 1).replaceAll(sep, '/')}` : file
}

function checkMade(bytes: Buffer, path: string, home: string): void {
  try {
    parsePolicy(bytes, path, home)
  } catch (error) {
    if (!isKeytoolError(error)) throw error
    throw new KeytoolError('usage', 'the rule can not be written so', {
      reason: error.message,
      ...(error.hint !== undefined && { hint: error.hint }),
      cause: error,
    })
  }
}
