import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Folder, temporaryFolder } from './folder.js'
import { findPeer, type PeerName, peerPath, versionIn } from './peers.js'
import { runOrThrow } from './run.js'

export type SuiteProgram = PeerName & ('ssh' | 'ssh-add' | 'ssh-agent' | 'ssh-keygen' | 'puttygen' | 'plink')
/** In Debian's package putty, which brings a desktop's libraries along: nothing here installs it. */
const PAGEANT = 'pageant'

/** The programs of one Debian: those of this machine, or newer ones in a folder of their own. */
export interface Suite {
  /** Debian's name of it, such as `trixie`. */
  readonly name: string
  /** A folder for files that its programs are to see. */
  temporaryFolder(): Promise<Folder>
  /** What its programs call a path in such a folder. */
  inside(path: string): string
  /** What starts a program of it. */
  command(program: SuiteProgram | typeof PAGEANT): readonly string[]
  /** Not everywhere, as other programs are. */
  readonly hasPageant: boolean
  /** @throws Error when the program is not there, does not run, or does not say its version */
  version(program: 'ssh' | 'puttygen'): Promise<string>
}

const pageantPath = '/usr/bin/pageant'
const peersFolder = fileURLToPath(new URL('../../build/peers/', import.meta.url))
/** What scripts/newest-peers makes: one for every test run, the others on request. */
const STEADY = 'trixie'
const ON_REQUEST = ['sid']

/** This machine's own. */
export function ownSuite(): Suite {
  const name = /^VERSION_CODENAME=(\w+)$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? 'unknown'
  return {
    name,
    temporaryFolder,
    inside: path => path,
    command: program => [program === PAGEANT ? pageantPath : peerPath(program)],
    hasPageant: existsSync(pageantPath),
    version: async program => (await findPeer(program)).version ?? '',
  }
}

/**
 * The newer ones that scripts/newest-peers has put in their folders. Says on standard error when there are none, so that
 * nobody takes less for all.
 */
export function newestSuites(): Suite[] {
  const isRoot = process.getuid?.() === 0
  const there = [STEADY, ...ON_REQUEST].filter(name => isRoot && existsSync(join(peersFolder, name)))
  if (!there.includes(STEADY)) {
    process.stderr.write(`newest peers: not there; as root, ./scripts/newest-peers ${STEADY} fetches them\n`)
  }
  return there.map(suiteInFolder)
}

/** Its programs are run with chroot, which takes root. */
function suiteInFolder(name: string): Suite {
  const root = join(peersFolder, name)
  const chroot = '/usr/sbin/chroot'
  return {
    name,
    async temporaryFolder() {
      const path = await mkdtemp(join(root, 'tmp/kt-'))
      return { path, dispose: () => rm(path, { recursive: true, force: true }) }
    },
    inside: path => path.slice(root.length),
    command: program => [chroot, root, program],
    hasPageant: existsSync(join(root, pageantPath)),
    version: async program => versionIn(program, await runOrThrow(chroot, [root, program, '-V'])),
  }
}
