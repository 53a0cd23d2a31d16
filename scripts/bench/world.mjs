// What the groups measure in: a temporary home, the programs, and everything that was started, ended again.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const keytool = fileURLToPath(new URL('../../packages/cli/dist/keytool.cjs', import.meta.url))

/** The programs of others that each group needs. */
const needs = {
  'start-up': ['ssh-keygen'],
  agent: ['ssh-keygen', 'ssh', 'ssh-agent', 'ssh-add'],
  bcrypt: ['ssh-keygen'],
}
needs.login = ['ssh-keygen', 'dbus-daemon', 'gnome-keyring-daemon']
needs.tunnel = ['ssh-keygen', 'ssh', 'sshd']
needs.install = ['ssh-keygen', 'ssh', 'sshd', 'ssh-copy-id', 'sshpass']
needs.keygen = ['ssh-keygen']
needs.convert = ['puttygen']

const START_MS = 10_000
const END_MS = 5_000

export async function makeWorld() {
  const home = await mkdtemp(join(tmpdir(), 'kt-'))
  const runtime = join(home, 'run')
  await mkdir(runtime, { mode: 0o700 })
  const path = [
    dirname(process.execPath),
    '/usr/local/bin',
    '/usr/bin',
    '/bin',
    '/usr/local/sbin',
    '/usr/sbin',
    '/sbin',
  ]
  const env = { PATH: path.join(delimiter), HOME: home, XDG_RUNTIME_DIR: runtime, LANG: 'C.UTF-8' }
  const running = new Set()
  const adopted = new Set()
  const folders = new Set([home])
  const endAll = signal => {
    for (const child of running) child.kill(signal)
    for (const pid of adopted) signalIfThere(pid, signal)
  }
  // An interrupted run leaves neither programs nor files.
  const onExit = () => {
    endAll('SIGKILL')
    for (const folder of folders) rmSync(folder, { recursive: true, force: true })
  }
  process.once('exit', onExit)
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => process.exit(1))

  const find = name => {
    const { stdout } = spawnSync('/bin/sh', ['-c', 'command -v "$1"', 'sh', name], { env, encoding: 'utf8' })
    return stdout.trim()
  }

  return {
    home,
    runtime,
    env,
    find,
    missingFor: group => needs[group].filter(name => !find(name)),

    /** Node and its arguments that run the built program. */
    keytool: (args, node = process.execPath) => [node, [keytool, ...args]],

    /** A folder outside of our home that goes when we do. */
    removeLater: folder => folders.add(folder),

    /** Runs a program to its end; returns the milliseconds that took. */
    time(program, args) {
      const began = process.hrtime.bigint()
      const { status, stderr } = spawnSync(program, args, {
        env,
        stdio: ['ignore', 'ignore', 'pipe'],
        encoding: 'utf8',
      })
      const took = Number(process.hrtime.bigint() - began) / 1e6
      if (status !== 0) throw new Error(`${program} ${args[0]} ended with ${status}: ${stderr}`)
      return took
    },

    /** Runs a program to its end; returns what it printed. */
    run(program, args, more = {}) {
      const options = { env: { ...env, ...more }, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }
      const { status, stdout, stderr } = spawnSync(program, args, options)
      if (status !== 0) throw new Error(`${program} ${args[0]} ended with ${status}: ${stderr}`)
      return stdout
    },

    /** Starts a program and waits until it has printed `ready`, if that is given; its `said` is what matched. It ends with us. */
    async start(program, args, ready) {
      const child = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'pipe'] })
      running.add(child)
      child.once('exit', () => running.delete(child))
      if (!ready) {
        for (const stream of [child.stdout, child.stderr]) stream.resume()
        return child
      }
      let text = ''
      await new Promise((resolve, reject) => {
        const fail = why => reject(new Error(`${program} ${args[0]}: ${why}\n${text}`))
        const timer = setTimeout(() => fail('it took too long to start'), START_MS)
        child.once('error', error => fail(error.message))
        child.once('exit', status => fail(`ended with ${status}`))
        for (const stream of [child.stdout, child.stderr]) {
          stream.setEncoding('utf8').on('data', chunk => {
            text += chunk
            child.said = ready.exec(text)
            if (!child.said) return
            clearTimeout(timer)
            resolve()
          })
        }
      })
      return child
    },

    /** Takes on a program that runs in the background: it ends with us. Returns what ends it before. */
    adopt(pid) {
      adopted.add(pid)
      return async () => {
        signalIfThere(pid, 'SIGTERM')
        await waitForEnd(pid)
        adopted.delete(pid)
      }
    },

    async stop(child) {
      if (child.exitCode !== null || child.signalCode !== null) return
      child.kill('SIGTERM')
      await once(child, 'exit')
    },

    async dispose() {
      const ends = [...[...running].map(child => once(child, 'exit')), ...[...adopted].map(waitForEnd)]
      endAll('SIGTERM')
      await Promise.all(ends)
      process.off('exit', onExit)
      for (const folder of folders) await rm(folder, { recursive: true, force: true })
    },
  }
}

/** @returns whether it was there */
function signalIfThere(pid, signal) {
  try {
    return process.kill(pid, signal)
  } catch {
    return false
  }
}

/** For those that are not our children: nothing tells of their end. */
async function waitForEnd(pid) {
  const end = performance.now() + END_MS
  while (signalIfThere(pid, 0)) {
    if (performance.now() > end) throw new Error(`process ${pid} did not end`)
    await sleep(20)
  }
}
