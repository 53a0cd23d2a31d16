/**
 * What sshd says of a login in SSH_MSG_DEBUG (RFC 4253 section 11.3), once the user is in: which line of which file let the
 * key in, and why keys that were offered before did not. It is said for people, in English, and may be left out or made up.
 */

/** As sshd of OpenSSH writes it since 7.8: where the line stands, and what it allows. */
const ADMITTED = /^(.{1,1024}):(\d{1,9}): key options:/s

/** A whole file was passed over: StrictModes. */
const IGNORED = /^Ignored authorized keys: (?:bad ownership or modes for (?:file|directory) )?(.{1,1024})$/s

/** A line with this key was passed over: `from=`, `expiry-time=`, an option the server does not know. */
const PASSED_OVER =
  /^.{1,1024}:(\d{1,9}): (?:Your host .* is not permitted to use this key|entry expired at|bad key options:)/s

/** Why a key did not let its user in, in the server's words; foreign. */
export interface SaidRefusal {
  readonly kind: 'permissions' | 'line-options'
  readonly text: string
  readonly path?: string
  readonly line?: number
}

/** The line that let the key in, as the last remark of that kind says: earlier ones may be of keys that were only offered. */
export function readAdmittingLine(remarks: readonly string[]): { path: string; line: number } | undefined {
  for (const remark of [...remarks].reverse()) {
    const [, path, line] = ADMITTED.exec(remark) ?? []
    if (path !== undefined) return { path, line: Number(line) }
  }
  return undefined
}

/** Why keys were refused that were offered before the user got in. */
export function readRefusals(remarks: readonly string[]): SaidRefusal[] {
  return remarks.flatMap((text): SaidRefusal[] => {
    const ignored = IGNORED.exec(text)?.[1]
    if (ignored !== undefined) return [{ kind: 'permissions', text, path: ignored }]
    const line = PASSED_OVER.exec(text)?.[1]
    return line === undefined ? [] : [{ kind: 'line-options', text, line: Number(line) }]
  })
}
