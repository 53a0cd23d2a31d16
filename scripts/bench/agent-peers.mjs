// The agents that are measured: ours, started as its users start it, and those of others that are there.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Where scripts/newest-peers puts newer Debians, the newest first. */
const folders = ['sid', 'trixie'].map(name => fileURLToPath(new URL(`../../build/peers/${name}`, import.meta.url)))

const LISTENS = /SSH_AUTH_SOCK=([^;]+);/

/**
 * @typedef {object} Running
 * @property {string} socket
 * @property {number} pid
 * @property {() => Promise<void>} stop
 *
 * @typedef {object} Agent
 * @property {string} name such as `ssh-agent 9.2`
 * @property {'ours' | 'openssh' | 'pageant'} kind
 * @property {string} version
 * @property {() => Promise<Running>} start
 */

/**
 * Ours first, then this machine's ssh-agent, the newest one, and pageant, the newest where there is one.
 * @returns {Promise<{ agents: Agent[], left: string[] }>} `left` tells which are left out, and what would bring them
 */
export async function findAgents(world) {
  const root = newestDebian()
  const places = [{ command: name => [world.find(name)], folder: '/' }]
  if (root) places.unshift({ command: name => [world.find('chroot'), root, name], folder: root })
  const own = openssh(world, places.at(-1))
  const newest = openssh(world, places[0])
  const agents = [ours(world), own]
  const left = []
  if (newest.version !== own.version) agents.push(newest)
  else left.push('a newer ssh-agent: as root, ./scripts/newest-peers sid')
  const place = places.find(({ command, folder }) =>
    folder === '/' ? command('pageant')[0] : existsSync(join(folder, 'usr/bin/pageant')),
  )
  if (place) agents.push(pageant(world, place))
  else left.push('pageant: it is in the package putty')
  return { agents, left }
}

/** Its programs are run with chroot, which takes root. */
function newestDebian() {
  if (process.getuid?.() !== 0) return undefined
  return process.env.KEYTOOL_PEERS ?? folders.find(folder => existsSync(folder))
}

/** In the background, with all that `keytool agent` does for its process. */
function ours(world) {
  const node = process.env.KEYTOOL_NODE ?? process.execPath
  let starts = 0
  return {
    name: 'ours',
    kind: 'ours',
    version: world.run(node, ['--version']).trim(),
    async start() {
      const socket = join(world.runtime, `ours-${starts++}`)
      const printed = world.run(...world.keytool(['agent', '-s', '-a', socket], node))
      const pid = Number(/SSH_AGENT_PID=(\d+);/.exec(printed)?.[1])
      const stop = world.adopt(pid)
      return { socket, pid, stop }
    },
  }
}

function openssh(world, { command, folder }) {
  const version = versionOf(world, command('ssh'), /OpenSSH_(\d+\.\d+)/)
  return {
    name: `ssh-agent ${version}`,
    kind: 'openssh',
    version,
    async start() {
      const inside = await temporaryFolder(world, folder)
      const [program, ...args] = [...command('ssh-agent'), '-D', '-s', '-a', join(inside, 'sock')]
      return running(world, await world.start(program, args, LISTENS), folder)
    },
  }
}

/** It chooses its socket's place itself, in a folder that it makes and removes. It needs no display for unencrypted keys. */
function pageant(world, { command, folder }) {
  const version = versionOf(world, command('pageant'), /Release (\d+\.\d+)/)
  return {
    name: `pageant ${version}`,
    kind: 'pageant',
    version,
    async start() {
      const [program, ...args] = [...command('pageant'), '--foreground', '-s']
      const agent = running(world, await world.start(program, args, LISTENS), folder)
      // Killed, it leaves it behind.
      world.removeLater(agent.socket)
      return agent
    },
  }
}

/** chroot becomes the program that it runs: the child's number is the agent's. */
function running(world, child, folder) {
  return { socket: join(folder, child.said[1]), pid: child.pid, stop: () => world.stop(child) }
}

/** What the programs of that Debian call a folder that they and we can write to. */
async function temporaryFolder(world, folder) {
  if (folder === '/') return mkdtemp(join(world.runtime, 'peer-'))
  const path = await mkdtemp(join(folder, 'tmp/kt-'))
  world.removeLater(path)
  return path.slice(folder.length)
}

/** PuTTY's say it on standard output, OpenSSH's on standard error. */
function versionOf(world, [program, ...args], pattern) {
  const { stdout, stderr } = spawnSync(program, [...args, '-V'], { env: world.env, encoding: 'utf8' })
  const version = pattern.exec(`${stdout}${stderr}`)?.[1]
  if (!version) throw new Error(`${program} ${args.join(' ')} does not say its version: ${stderr}`)
  return version
}
