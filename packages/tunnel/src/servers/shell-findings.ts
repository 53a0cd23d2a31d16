import { showForeign } from '@keytool/keygen'
import { closingCommand } from './closing-command.js'
import type { KeyFileFinding } from './key-file.js'
import { wordOf } from './shell-words.js'

/** More lines than the way from any home to its file has folders. */
const MAX_LINES = 100

/** Type and modes as `ls` shows them, owner and group by number, and the path. */
const LISTED = /^([-dlpscb])([-rwxsStTlL]{9})\S* (\d{1,10}) (\d{1,10}) (.+)$/

/** What SELinux's matchpathcon says of a label that is not the one its rules give. */
const LABEL = /^(.+) has context (\S+), should be (\S+)$/

/** Whom the account is, and where it lives. */
interface Account {
  readonly uid: number
  readonly home: string
  /** A group that is the user's alone, where the server minds that. */
  readonly ownGroup: string | undefined
}

type Reader = (rest: string, account: Account) => readonly KeyFileFinding[]

/** By the word in front of each line of the examining script's answer. */
const readers: ReadonlyMap<string, Reader> = new Map([
  ['home', judge('d')],
  ['above', judge('d')],
  ['folder', judge('dl')],
  ['file', judge('-l')],
  ['target', judge('-')],
])

/**
 * What may keep sshd from heeding the file: StrictModes of sshd_config(5) wants the file and each folder from the home on
 * to belong to the user or root, and nobody else to be able to write to it; and SELinux wants its labels.
 * @param user `UID GID` of whoever is logged in
 * @param body the script's other lines
 */
export function readFindings(user: string, body: string): KeyFileFinding[] {
  const lines = body.split('\n').slice(0, MAX_LINES)
  const home = LISTED.exec(lines.find(line => line.startsWith('home '))?.slice(5) ?? '')?.[5] ?? ''
  const ownGroup = lines.flatMap(line => /^private (\d{1,10})$/.exec(line)?.[1] ?? [])[0]
  const account = { uid: Number(/^\d{1,10}/.exec(user)?.[0] ?? Number.NaN), home, ownGroup }
  const found: KeyFileFinding[] = []
  for (const line of lines) {
    const [, word = '', rest = ''] = /^(\S+) (.*)$/.exec(line) ?? []
    for (const finding of readers.get(word)?.(rest, account) ?? judgeLabel(line, account)) {
      if (!found.some(({ kind, path }) => kind === finding.kind && path === finding.path)) found.push(finding)
    }
  }
  return found
}

/** @param types which kinds of file it may be; a link's own modes mean nothing */
function judge(types: string): Reader {
  return (rest, account) => {
    const missing = /^missing 0 0 (.+)$/.exec(rest)?.[1]
    if (missing !== undefined) {
      const path = shorten(missing, account)
      return [
        finding(
          'missing',
          path,
          'is not there',
          types.includes('d') ? `mkdir -m 700 ${wordOf(path)}` : 'keytool install-pubkey',
        ),
      ]
    }
    const [, type = '', mode = '', owner = '', group = '', name = ''] = LISTED.exec(rest) ?? []
    if (name === '') return []
    const path = shorten(name, account)
    if (!types.includes(type))
      return [finding('not-a-file', path, 'is of another kind than it should be', `ls -ld ${wordOf(path)}`)]
    if (type === 'l') return []
    return judgeModes({ path, type, mode, owner: Number(owner), isAlone: group === account.ownGroup }, account)
  }
}

interface Listed {
  readonly path: string
  readonly type: string
  readonly mode: string
  readonly owner: number
  /** Whether its group is the user alone. */
  readonly isAlone: boolean
}

function judgeModes({ path, type, mode, owner, isAlone }: Listed, { uid }: Account): KeyFileFinding[] {
  const found: KeyFileFinding[] = []
  if (owner !== 0 && owner !== uid) {
    found.push(
      finding('foreign-owner', path, `belongs to another user (number ${owner})`, `sudo chown ${uid} ${wordOf(path)}`),
    )
  }
  const writers = [...(mode[4] === 'w' && !isAlone ? ['its group'] : []), ...(mode[7] === 'w' ? ['everybody'] : [])]
  if (writers.length > 0) {
    const text = `may be written by ${writers.join(' and ')} (mode ${octal(mode)})`
    const remedy = closingCommand(wordOf(path), { isOwn: owner === uid, isSticky: /[tT]/.test(mode[8] ?? '') })
    found.push(finding('writable-by-others', path, text, remedy))
  }
  const needed = type === 'd' ? 2 : 0
  if (owner === uid && mode[needed] === '-') {
    const text =
      type === 'd'
        ? `can't be entered by its user (mode ${octal(mode)})`
        : `can't be read by its user (mode ${octal(mode)})`
    found.push(finding('unreadable', path, text, `chmod u+${type === 'd' ? 'rwx' : 'rw'} ${wordOf(path)}`))
  }
  return found
}

function judgeLabel(line: string, account: Account): KeyFileFinding[] {
  const [, name, has, wanted] = LABEL.exec(line) ?? []
  if (name === undefined) return []
  const text = `has SELinux's label ${showForeign(has ?? '')} instead of ${showForeign(wanted ?? '')}`
  return [finding('selinux', shorten(name, account), text, 'restorecon -RF ~/.ssh')]
}

function finding(kind: KeyFileFinding['kind'], path: string, text: string, remedy: string): KeyFileFinding {
  return { kind, path, text: `${showForeign(path)} ${text}`, remedy }
}

/** As people there know it: below the home from `~` on. Foreign. */
function shorten(name: string, { home }: Account): string {
  if (name === home) return '~'
  const within = home !== '' && name.startsWith(`${home}/`)
  return within ? `~/${name.slice(home.length + 1)}` : name.startsWith('/') ? name : `~/${name}`
}

/** `rwxr-x---` as 0750, `rwxrwxrwt` as 1777. */
function octal(mode: string): string {
  const sum = (isSet: (index: number) => boolean) => (isSet(0) ? 4 : 0) + (isSet(1) ? 2 : 0) + (isSet(2) ? 1 : 0)
  const digit = (from: number) => sum(index => !/[-ST]/.test(mode[from + index] ?? '-'))
  return `${sum(index => /[sStT]/.test(mode[index * 3 + 2] ?? ''))}${digit(0)}${digit(3)}${digit(6)}`
}
