import { generateKeyPairSync, sign } from 'node:crypto'
import { chown, mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { untilWritten } from './agent-fixture.js'
import { frame, string } from './agent-wire.js'
import { type Environment, type Home, opensshOptions } from './world/home.js'
import { peerPath } from './world/peers.js'
import { residentKeytool } from './world/resident.js'
import { type RunOptions, type RunResult, run, runOrThrow } from './world/run.js'
import { type Sshd, type SshdOptions, startSshd } from './world/sshd.js'
import type { SystemUser } from './world/system-user.js'

// Servers under names of their own, and ways there: from here, from one to the next, and from a host that is none.

export interface NamedHost {
  readonly name: string
  readonly sshd: Sshd
  /** Lines for known_hosts. */
  readonly knownHosts: string
}

/** A server that clients know as this name: they are told so with HostKeyAlias. Nobody may log in with a password. */
export async function startHost(name: string, options: Omit<SshdOptions, 'passwordUsers'>): Promise<NamedHost> {
  const sshd = await startSshd({ ...options, passwordUsers: [] })
  return { name, sshd, knownHosts: sshd.knownHosts.replaceAll(/^\S+/gm, name) }
}

/** Options and words of ssh that lead to a host, with whatever key the agent has. */
export function wayTo(host: NamedHost, user: SystemUser, home: Home, ...options: readonly string[]): string[] {
  const named = ['-o', `HostKeyAlias=${host.name}`, '-o', 'PreferredAuthentications=publickey']
  const port = ['-p', String(host.sshd.port)]
  // Of each option the first one counts.
  return [...options, ...opensshOptions(home), '-o', 'IdentitiesOnly=no', ...named, ...port, `${user.name}@127.0.0.1`]
}

/** The same for a shell on another host, as it is written there. */
export function wayFromThere(host: NamedHost, user: SystemUser, ...options: readonly string[]): string {
  const plain = ['-F', 'none', '-o', 'BatchMode=yes', '-o', 'IdentityFile=none', '-o', 'GlobalKnownHostsFile=none']
  const named = ['-o', `HostKeyAlias=${host.name}`, '-p', String(host.sshd.port)]
  return ['ssh', ...plain, ...named, ...options, `${user.name}@127.0.0.1`].join(' ')
}

export interface LogIn {
  readonly env: Environment
  readonly home: Home
  readonly options?: readonly string[]
  /** For the shell there. */
  readonly command?: string
}

/** Logs in from here. */
export function logIn(
  host: NamedHost,
  user: SystemUser,
  { env, home, options = [], command }: LogIn,
): Promise<RunResult> {
  return run(peerPath('ssh'), [...wayTo(host, user, home, ...options), command ?? 'echo in'], { env })
}

/** Writes a file that belongs to the user. */
export async function writeFor(user: SystemUser, path: string, text: string, mode = 0o600): Promise<void> {
  const folder = dirname(path)
  await mkdir(folder, { recursive: true, mode: 0o700 })
  await chown(folder, user.uid, user.gid)
  await writeFile(path, text, { mode })
  await chown(path, user.uid, user.gid)
}

/** @param more as ssh-keygen takes them */
export async function makeKey(file: string, ...more: readonly string[]): Promise<void> {
  const how = ['-q', '-t', 'ed25519', '-a', '1', '-N', '', '-C', file.slice(file.lastIndexOf('/') + 1), ...more]
  await runOrThrow(peerPath('ssh-keygen'), [...how, '-f', file])
}

export async function fingerprintOf(file: string): Promise<string> {
  const { stdout } = await runOrThrow(peerPath('ssh-keygen'), ['-l', '-f', `${file}.pub`])
  return stdout.split(' ')[1] ?? ''
}

/** Runs our program, which has to succeed. Returns what it printed. */
export async function succeed(env: Environment, args: readonly string[], options: RunOptions = {}): Promise<string> {
  const { status, stdout, stderr } = await residentKeytool(args, { ...options, env })
  if (status !== 0) throw new Error(`keytool ${args.join(' ')} ended with ${status}\n${stderr}`)
  return stdout
}

/** What the ledger says of these actions, oldest first. */
export async function readLedger(env: Environment, ...actions: string[]): Promise<Record<string, unknown>[]> {
  await untilWritten(env['SSH_AUTH_SOCK'])
  const all: Record<string, unknown>[] = JSON.parse(await succeed(env, ['log', '--json', '-n', '0']))
  return all.filter(({ action }) => actions.includes(String(action)))
}

/** Writes the policy. */
export async function writePolicy(home: Home, text: string): Promise<string> {
  const path = join(home.path, '.config', 'keytool', 'agent.json')
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  await writeFile(path, text, { mode: 0o600 })
  return path
}

/** A host of which there is nothing but its key. */
export interface BareHost {
  readonly blob: Buffer
  /** `ssh-ed25519 AAAA…` */
  readonly line: string
  /** The frame of a session-bind: PROTOCOL.agent section 1 of OpenSSH. */
  bind(sessionId: Buffer, options?: { readonly forwarding?: boolean; readonly signed?: Buffer }): Buffer
}

export function makeBareHost(): BareHost {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  const point = Buffer.from(publicKey.export({ format: 'jwk' }).x ?? '', 'base64url')
  const blob = Buffer.concat([string('ssh-ed25519'), string(point)])
  return {
    blob,
    line: `ssh-ed25519 ${blob.toString('base64')}`,
    bind(sessionId, { forwarding = false, signed = sessionId } = {}) {
      const signature = Buffer.concat([string('ssh-ed25519'), string(sign(null, signed, privateKey))])
      const fields = [blob, sessionId, signature].map(each => string(each))
      return frame(27, string('session-bind@openssh.com'), ...fields, Buffer.from([forwarding ? 1 : 0]))
    },
  }
}

export interface LoginData {
  readonly sessionId: Buffer
  readonly user: string
  readonly key: Buffer
  /** The host's, in the form that names it: PROTOCOL section 3.1 of OpenSSH. */
  readonly hostKey?: Buffer
}

/** What a login has signed: RFC 4252 section 7, for a key of Ed25519. */
export function loginData({ sessionId, user, key, hostKey }: LoginData): Buffer {
  const method = hostKey ? 'publickey-hostbound-v00@openssh.com' : 'publickey'
  const words = [string(user), string('ssh-connection'), string(method)]
  const ends = [string('ssh-ed25519'), string(key), ...(hostKey ? [string(hostKey)] : [])]
  return Buffer.concat([string(sessionId), Buffer.from([50]), ...words, Buffer.from([1]), ...ends])
}
