import { chmod, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { endAgent } from './agent-fixture.js'
import { leaveDuty } from './world/duty.js'
import { type Environment, type Home, temporaryHome } from './world/home.js'
import { type Keyring, startKeyring } from './world/keyring.js'
import { peerPath } from './world/peers.js'
import { residentKeytool } from './world/resident.js'
import { keytool, type RunOptions, type RunResult, runOrThrow } from './world/run.js'

// What the tests of test/keychain-cli*.test.ts share: a home with our agent in it, and a keyring or none.

export interface Desk {
  readonly home: Home
  readonly env: Environment
  /** Runs our program there, without a terminal. */
  run(args: readonly string[], options?: RunOptions): Promise<RunResult>
  /** The same with `--json`, which has to end with 0: its answer. */
  ask<T>(args: readonly string[]): Promise<T>
  /** An encrypted key of ssh-keygen's in `~/.ssh`. */
  makeKey(name: string, passphrase: string, comment?: string): Promise<Made>
  /** A file with that line, for `--passphrase-file`. */
  write(secret: string | Uint8Array): Promise<string>
  /** The rules of agent.json; `undefined` where there is no such file. */
  rules(): Promise<readonly object[] | undefined>
  /** Ends the agent, and starts another one. */
  restartAgent(): Promise<void>
  dispose(): Promise<void>
}

export interface Made {
  readonly path: string
  readonly fingerprint: string
}

export interface Listed {
  readonly fingerprint: string
  readonly state: string
  readonly remembered: boolean
  readonly [fact: string]: unknown
}

/** A home where our agent runs, without any D-Bus. */
export async function makeDesk(): Promise<Desk> {
  const home = await temporaryHome()
  return seat(home, home.env, () => home.dispose())
}

/** The same with GNOME's keyring. */
export async function makeDeskWithKeyring(): Promise<Desk & { readonly keyring: Keyring }> {
  const home = await temporaryHome()
  const keyring = await startKeyring(home)
  const desk = await seat(home, keyring.env, async () => {
    await keyring.stop()
    await home.dispose()
  })
  return { ...desk, keyring }
}

async function seat(home: Home, env: Environment, leave: () => Promise<void>): Promise<Desk> {
  let number = 0
  const settings = { cwd: home.path, env, timeoutMs: 30_000 }
  const run = (args: readonly string[], options: RunOptions = {}) => residentKeytool(args, { ...settings, ...options })
  const startAgent = async () => {
    const { stdout, stderr } = await keytool(['agent', '-s'], settings)
    const pid = /SSH_AGENT_PID=(\d+)/.exec(stdout)?.[1]
    if (pid === undefined) throw new Error(`no agent: ${stderr}`)
    return leaveDuty(endAgent, pid, home.path)
  }
  let guard = await startAgent()
  const stopAgent = async () => {
    const { status, stderr } = await run(['agent', 'stop'])
    guard.cancel()
    if (status !== 0) throw new Error(`keytool agent stop ended with ${status}\n${stderr}`)
  }
  return {
    home,
    env,
    run,
    async ask(args) {
      const { status, stdout, stderr } = await run([...args, '--json'])
      if (status !== 0) throw new Error(`keytool ${args.join(' ')} ended with ${status}\n${stderr}`)
      return JSON.parse(stdout)
    },
    async makeKey(name, passphrase, comment = name) {
      const path = join(home.ssh, name)
      const args = ['-q', '-t', 'ed25519', '-a', '1', '-C', comment, '-N', passphrase, '-f', path]
      await runOrThrow(peerPath('ssh-keygen'), args, { env: home.env })
      return { path, fingerprint: await fingerprintOf(path) }
    },
    async write(secret) {
      const path = join(home.path, `secret-${++number}`)
      await writeFile(path, secret, { mode: 0o600 })
      return path
    },
    async rules() {
      const text = await readFile(join(home.path, '.config', 'keytool', 'agent.json'), 'utf8').catch(() => undefined)
      return text === undefined ? undefined : JSON.parse(text).keys
    },
    async restartAgent() {
      await stopAgent()
      guard = await startAgent()
    },
    async dispose() {
      await stopAgent()
      await leave()
    },
  }
}

/** Of a key file, or of its public half beside it. */
export async function fingerprintOf(path: string): Promise<string> {
  const { stdout } = await runOrThrow(peerPath('ssh-keygen'), ['-l', '-f', `${path}.pub`])
  return stdout.split(' ')[1] ?? ''
}

/** ssh-keygen gives a file another passphrase, behind our back. */
export async function changePassphrase(path: string, from: string, to: string): Promise<void> {
  await runOrThrow(peerPath('ssh-keygen'), ['-q', '-p', '-a', '1', '-P', from, '-N', to, '-f', path])
}

/** An askpass program that answers every question so, and counts them. */
export async function makeAnswerer(
  { home }: Desk,
  answer: string,
): Promise<{ readonly env: Environment; questions(): Promise<string[]>; forget(): Promise<void> }> {
  const [program, log, secret] = ['answerer', 'asked', 'answer'].map(name => join(home.path, name)) as [
    string,
    string,
    string,
  ]
  await writeFile(secret, `${answer}\n`)
  await writeFile(program, `#!/bin/sh\nprintf '%s\\n' "$1" >>'${log}'\nexec cat '${secret}'\n`)
  await chmod(program, 0o700)
  return {
    env: { SSH_ASKPASS: program, SSH_ASKPASS_REQUIRE: 'force' },
    async questions() {
      const text = await readFile(log, 'utf8').catch(() => '')
      return text.split('\n').filter(Boolean)
    },
    forget: () => rm(log, { force: true }),
  }
}
