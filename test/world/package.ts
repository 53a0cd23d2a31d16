import { cp, mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Environment, homeless } from './home.js'
import type { Registry } from './package-registry.js'
import { type RunResult, run, runOrThrow } from './run.js'

/** The repository's own folder. */
export const root: string = fileURLToPath(new URL('../..', import.meta.url))
const typescript = join(root, 'node_modules/typescript/bin/tsc')

export interface Packed {
  readonly tarball: string
  /** Paths in it, sorted. */
  readonly files: readonly string[]
}

/**
 * Builds a package that refers to no other from its sources, as a fresh clone would, and packs it. What lies in the
 * working tree's `dist`, perhaps of sources long gone, has no part in it.
 * @param folder where no folder is yet. Projects must not lie in it: the whole repository's `node_modules` are linked there
 */
export async function packAnew(name: string, folder: string): Promise<Packed> {
  const from = join(root, 'packages', name)
  const to = join(folder, 'packages', name)
  for (const part of ['package.json', 'tsconfig.json', 'README.md', 'LICENSE', 'src']) {
    await cp(join(from, part), join(to, part), { recursive: true })
  }
  await cp(join(root, 'tsconfig.base.json'), join(folder, 'tsconfig.base.json'))
  await symlink(join(root, 'node_modules'), join(folder, 'node_modules'))
  await runOrThrow(process.execPath, [typescript, '-b', to], { timeoutMs: 120_000 })
  const { stdout } = await npm(['pack', '--json', '--pack-destination', folder], to, folder)
  const [packed] = JSON.parse(stdout) as [{ filename: string; files: { path: string }[] }]
  return { tarball: join(folder, packed.filename), files: packed.files.map(({ path }) => path).sort() }
}

/** An empty project with these installed in it, and nothing else. */
export interface Project {
  readonly path: string
  /** Writes a file, and hands its path back. */
  write(name: string, text: string): Promise<string>
  /** Runs a file of the project with this Node. */
  node(...args: string[]): Promise<RunResult>
  /** Runs the repository's TypeScript in it. */
  tsc(...args: string[]): Promise<RunResult>
}

export interface ProjectOptions {
  readonly type: 'module' | 'commonjs'
  /** Names of packages, or paths of tarballs. */
  readonly install: readonly string[]
  readonly registry: Registry
  /** One that several projects may share. */
  readonly cache: string
}

/** @param path where no folder is yet */
export async function emptyProject(path: string, { type, install, registry, cache }: ProjectOptions): Promise<Project> {
  await mkdir(path)
  await writeFile(join(path, 'package.json'), JSON.stringify({ name: 'empty', version: '1.0.0', type }))
  await npm(['install', '--registry', registry.url, ...install], path, cache)
  const inside = (program: string[], env: Environment = homeless) =>
    run(process.execPath, program, { cwd: path, env, timeoutMs: 120_000 })
  return {
    path,
    write: async (name, text) => {
      await writeFile(join(path, name), text)
      return join(path, name)
    },
    node: (...args) => inside(args),
    tsc: (...args) => inside([typescript, ...args]),
  }
}

function npm(args: readonly string[], cwd: string, cache: string): Promise<RunResult> {
  const quiet = ['--ignore-scripts', '--no-audit', '--no-fund', '--no-update-notifier', '--loglevel=error']
  return runOrThrow('npm', [...args, ...quiet, '--cache', cache], { cwd, timeoutMs: 120_000 })
}
