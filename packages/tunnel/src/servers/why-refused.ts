import { type PublicKey, showForeign } from '@keytool/keygen'
import type { Connection } from '../connection/connection.js'
import { findLines } from './authorized-keys.js'
import type { KeyFile, KeyFileFinding } from './key-file.js'
import { readRefusals } from './remarks.js'
import { settingsScript } from './scripts.js'
import { findRevocations, findTypeRule } from './server-rules.js'
import { readServerSettings, type ServerSettings } from './server-settings.js'
import { runScript } from './shell-run.js'
import { wordOf } from './shell-words.js'

export type RefusalCause =
  /** Modes or owners of the home, a folder or the file: StrictModes. */
  | 'permissions'
  | 'selinux'
  /** The server reads its keys elsewhere. */
  | 'authorized-keys-path'
  /** The server takes no keys at all from this account. */
  | 'publickey-off'
  /** The server takes no keys of this type, or of this size. */
  | 'key-type'
  /** The key is not in the file, or in no line that counts. */
  | 'absent'
  /** Its line does not let it in: `from=`, `expiry-time=`, options the server does not know. */
  | 'line-options'
  /** The server reads this file, and has a rule that can't be seen from here. */
  | 'rules'
  | 'unknown'

export interface RefusalReport {
  readonly cause: RefusalCause
  /** What was seen, a sentence each, what decided first; escaped already. */
  readonly evidence: readonly string[]
  /** The command that mends it, or shows more, to be typed on the server. */
  readonly remedy: string
}

const LOOK_INTO_LOG = 'sudo journalctl --since -10min -u ssh -u sshd'

/** All that was looked at. */
interface Seen {
  readonly findings: readonly KeyFileFinding[]
  readonly settings: ServerSettings | undefined
  readonly remarks: readonly string[]
  /** The file's path there, whole. */
  readonly path: string
  readonly key: { readonly itself: PublicKey; readonly lines: readonly { line: number; options: string }[] } | undefined
}

type Judge = (seen: Seen) => RefusalReport | undefined

/** What may be the cause, in the order in which it decides: what the server said itself comes first. */
const judges: readonly Judge[] = [said, elsewhere, switchedOff, ofType, absent, closedByModes, labelled, limited]

/**
 * Why a key may not let its user in, as far as that user can see it on the server. Where this very connection offered the key
 * first and then got in another way, sshd itself has said it in its remarks; else modes and owners (StrictModes), SELinux's
 * labels, AuthorizedKeysFile and the key's line are looked at. Changes nothing.
 * @param connection one that got in another way
 * @param key the one that was refused; without it its lines are not looked for
 * @throws KeytoolError as {@link KeyFile.examine} and {@link KeyFile.read} do
 */
export async function explainRefusal(
  connection: Pick<Connection, 'exec'> & Partial<Pick<Connection, 'remarks'>>,
  file: Pick<KeyFile, 'path' | 'way' | 'examine' | 'read'>,
  key?: PublicKey,
): Promise<RefusalReport> {
  const settings = file.way === 'shell' ? await fetchSettings(connection) : undefined
  const seen: Seen = {
    findings: await file.examine(),
    settings,
    remarks: connection.remarks ?? [],
    path: settings === undefined ? file.path : expandHome(file.path, settings.home),
    key: key && { itself: key, lines: findLines(await file.read(), key) },
  }
  const reports = judges.flatMap(judge => judge(seen) ?? [])
  const [first] = reports
  if (!first) return unseen(seen)
  return { ...first, evidence: [...new Set(reports.flatMap(({ evidence }) => evidence))] }
}

/** All is well with the file. Whether it is the one that counts is known where the settings can be read. */
function unseen({ settings, path }: Seen): RefusalReport {
  if (!settings || settings.hidden.length > 0 || !settings.isSeen || !filesOf(settings).includes(path)) {
    return { cause: 'unknown', evidence: [], remedy: LOOK_INTO_LOG }
  }
  const revoked = findRevocations(settings)
  const evidence = ['the server reads this file', ...(revoked === undefined ? [] : [revoked])]
  return { cause: 'rules', evidence, remedy: LOOK_INTO_LOG }
}

/** Without a shell, or where it shows nothing, they are not known. */
async function fetchSettings(connection: Pick<Connection, 'exec'>): Promise<ServerSettings | undefined> {
  const answer = await runScript({ connection }, settingsScript).catch(() => undefined)
  return answer && readServerSettings(`${answer.word} ${answer.rest}\n${answer.body.toString('utf8')}`)
}

/** sshd's own words about the key that this connection offered before it got in. */
function said({ remarks, findings, path, settings }: Seen): RefusalReport | undefined {
  const [refusal] = readRefusals(remarks)
  if (!refusal) return undefined
  const evidence = [`the server says: ${showForeign(refusal.text)}`]
  if (refusal.kind === 'line-options') return { cause: 'line-options', evidence, remedy: showLine(path, refusal.line) }
  const about = refusal.path === undefined ? undefined : shorten(refusal.path, settings?.home)
  const finding = findings.find(one => one.path === about && isAboutModes(one)) ?? findings.find(isAboutModes)
  return {
    cause: 'permissions',
    evidence,
    remedy: finding?.remedy ?? `ls -ld ${about === undefined ? '~ ~/.ssh' : wordOf(about)}`,
  }
}

function elsewhere({ settings, path }: Seen): RefusalReport | undefined {
  if (!settings) return undefined
  const { from } = settings.get('authorizedkeysfile')
  if (!from) return undefined
  const files = filesOf(settings)
  if (files.includes(path)) return undefined
  const read = files.length === 0 ? 'no file at all' : files.map(file => showForeign(file)).join(', ')
  const [first] = files
  const remedy =
    first === undefined
      ? `sudo sshd -T -C user=${wordOf(settings.user)} | grep -i authorizedkeys`
      : `sudo tee -a ${wordOf(first)} < ${wordOf(shorten(path, settings.home))}`
  return {
    cause: 'authorized-keys-path',
    evidence: [
      `the server reads ${read}, not ${showForeign(shorten(path, settings.home))}: ${placeOf(from)} AuthorizedKeysFile`,
    ],
    remedy,
  }
}

function switchedOff({ settings }: Seen): RefusalReport | undefined {
  const setting = settings?.get('pubkeyauthentication')
  if (!setting?.from || setting.values[0]?.toLowerCase() !== 'no') return undefined
  const place = placeOf(setting.from)
  return {
    cause: 'publickey-off',
    evidence: [`the server takes no keys: ${place} PubkeyAuthentication no`],
    remedy: `sudo sshd -T | grep -i pubkeyauthentication`,
  }
}

function ofType({ settings, key }: Seen): RefusalReport | undefined {
  const rule = settings && key && findTypeRule(settings, key.itself)
  if (rule === undefined) return undefined
  return { cause: 'key-type', evidence: [rule], remedy: `sudo sshd -T | grep -iE 'pubkeyaccepted|requiredrsa'` }
}

function absent({ key, path, settings }: Seen): RefusalReport | undefined {
  if (!key || key.lines.length > 0) return undefined
  const where = shorten(path, settings?.home)
  return {
    cause: 'absent',
    evidence: [`no line of ${showForeign(where)} lets this key in`],
    remedy: `cat ${wordOf(where)}`,
  }
}

function closedByModes({ findings, settings }: Seen): RefusalReport | undefined {
  const isStrict = settings?.get('strictmodes').values[0]?.toLowerCase() !== 'no'
  const about = findings.filter(one => isAboutModes(one) && (isStrict || one.kind === 'unreadable'))
  const [first] = about
  return first && { cause: 'permissions', evidence: about.map(({ text }) => text), remedy: first.remedy }
}

function labelled({ findings }: Seen): RefusalReport | undefined {
  const about = findings.filter(({ kind }) => kind === 'selinux')
  const [first] = about
  return first && { cause: 'selinux', evidence: about.map(({ text }) => text), remedy: first.remedy }
}

/** Options that may keep a key out at all; whether these do, only the server knows. */
const LIMITING = /(?:^|,)(?:from|expiry-time|principals)="/i

function limited({ key, path, settings }: Seen): RefusalReport | undefined {
  if (!key || key.lines.length === 0 || !key.lines.every(({ options }) => LIMITING.test(options))) return undefined
  const where = shorten(path, settings?.home)
  return {
    cause: 'line-options',
    evidence: key.lines.map(
      ({ line, options }) => `${showForeign(where)} line ${line} limits the key: ${showForeign(options)}`,
    ),
    remedy: showLine(path, key.lines[0]?.line),
  }
}

function isAboutModes({ kind }: KeyFileFinding): boolean {
  return kind === 'writable-by-others' || kind === 'foreign-owner' || kind === 'unreadable'
}

function showLine(path: string, line: number | undefined): string {
  return `sed -n ${line ?? 1}p ${wordOf(path)}`
}

function placeOf({ path, line }: { readonly path: string; readonly line: number }): string {
  return `${showForeign(path)} line ${line}:`
}

function filesOf(settings: ServerSettings): string[] {
  const { values } = settings.get('authorizedkeysfile')
  return values.filter(value => value.toLowerCase() !== 'none').map(value => expandTokens(value, settings))
}

/** As sshd_config(5) has it under TOKENS; a path that does not begin at the root begins at the home. */
function expandTokens(value: string, { user, home }: ServerSettings): string {
  const tokens: Readonly<Record<string, string>> = { '%h': home, '%u': user, '%%': '%' }
  const path = value.replace(/%[hu%]/g, token => tokens[token] ?? token)
  return path.startsWith('/') ? path : `${home}/${path}`
}

function expandHome(path: string, home: string): string {
  return path.startsWith('~/') ? `${home}/${path.slice(2)}` : path
}

/** Foreign, as it was. */
function shorten(path: string, home: string | undefined): string {
  if (home === undefined || home === '') return path
  if (path === home) return '~'
  return path.startsWith(`${home}/`) ? `~/${path.slice(home.length + 1)}` : path
}
