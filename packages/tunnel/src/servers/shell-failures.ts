import { type ErrorCode, KeytoolError, showForeign } from '@keytool/keygen'

/** How much of a server's own complaint is shown, in characters. */
const SHOWN = 300

interface Failure {
  readonly code?: ErrorCode
  readonly text: string
  readonly hint?: string
}

const file = 'authorized_keys on the server'

/** What the scripts answer when they did not do it, by their word. */
const failures: Readonly<Record<string, Failure>> = {
  'no-home': {
    text: 'there is no home folder on the server',
    hint: 'it has to be made there first, by its administrator',
  },
  'no-folder': { text: '.ssh on the server is no folder', hint: 'look at it there: ls -ld ~/.ssh' },
  'not-a-file': { text: `${file} is no file`, hint: 'look at it there: ls -ld ~/.ssh/authorized_keys' },
  'leads-nowhere': {
    text: `${file} is a link that leads nowhere, or where this user may not look`,
    hint: 'look at it there: ls -l ~/.ssh/authorized_keys',
  },
  unreadable: { text: `${file} can't be read`, hint: 'look at it there: ls -ld ~ ~/.ssh ~/.ssh/authorized_keys' },
  'too-large': { code: 'damaged', text: `${file} is larger than 1 MiB, so it is left as it is` },
  unwritable: { text: `${file} can't be written` },
  locked: {
    text: `another program is changing ${file}`,
    hint: 'try again; if none is, remove the file .authorized_keys.keytool-lock beside it',
  },
  'has-links': {
    text: `${file} has other names, which would stay behind`,
    hint: 'it is one file under several names (hard links): find them with find / -samefile ~/.ssh/authorized_keys',
  },
  'foreign-owner': {
    text: `${file} belongs to another user or group, which could not be kept`,
    hint: 'look at it there: ls -l ~/.ssh/authorized_keys',
  },
  'no-sums': {
    code: 'unsupported',
    text: `${file} can't be changed over its shell: it has neither sha256sum nor cksum`,
    hint: 'where the server gives SFTP, that way works: --sftp',
  },
  'cut-short': { text: `not all of ${file} arrived`, hint: 'try again' },
}

/** What the server's own programs say, and what that means. The scripts have them speak English. */
const complaints: readonly (readonly [pattern: RegExp, reason: string, hint: string])[] = [
  [/no space left/i, 'the disk is full', 'make room on the server: df -h ~'],
  [/quota exceeded/i, 'the quota of this user is used up', 'make room on the server: quota'],
  [/read-only file system/i, 'its file system is read-only', 'look on the server why: mount'],
  [
    /operation not permitted/i,
    'it is kept from changes (an immutable file?)',
    'look at it there: lsattr -d ~/.ssh ~/.ssh/*',
  ],
  [/permission denied/i, 'no permission', 'look at it there: ls -ld ~ ~/.ssh ~/.ssh/authorized_keys'],
  [/resource busy/i, 'it is mounted there by itself, as containers do it', 'change it where it is mounted from'],
  [/input\/output error/i, 'the disk fails', 'look into the log of the server'],
]

/**
 * What a script's failure means. All of these left the file as it was.
 * @param detail what a program of the server's said; foreign
 */
export function explainFailure(word: string, detail: string): KeytoolError {
  const {
    code = 'failed',
    text,
    hint,
  } = (Object.hasOwn(failures, word) ? failures[word] : undefined) ?? { text: `${file} can't be changed` }
  const said = showForeign(detail.trim().slice(0, SHOWN))
  const [, meant, remedy] = complaints.find(([pattern]) => pattern.test(detail)) ?? []
  const left = 'nothing was changed'
  const reason = meant !== undefined ? `${meant}; ${left}` : said !== '' ? `${said}; ${left}` : left
  const what = remedy ?? hint
  return new KeytoolError(code, text, { reason, ...(what !== undefined && { hint: what }) })
}
