import { cp, readFile, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { type Folder, temporaryFolder } from './world/folder.js'
import { emptyProject, type Packed, type Project, packAnew, root } from './world/package.js'
import { type Registry, startRegistry } from './world/package-registry.js'
import { readBlocks, readNames, readTable } from './world/readme.js'
import { run, runOrThrow } from './world/run.js'

// `@keytool/keygen` as those have it who install it: packed from a clean build, installed in empty projects by npm.

jest.setTimeout(300_000)

let folder: Folder
let registry: Registry
let packed: Packed
/** With `"type": "module"`, and nothing installed but the package. */
let esm: Project
/** The same with `"type": "commonjs"`. */
let commonjs: Project
/** With node's types beside it, as whoever writes TypeScript for Node has them. */
let typed: Project
let readme: string

beforeAll(async () => {
  folder = await temporaryFolder()
  registry = await startRegistry()
  packed = await packAnew('keygen', join(folder.path, 'clone'))
  const project = (name: string, type: 'module' | 'commonjs', ...more: string[]) =>
    emptyProject(join(folder.path, name), {
      type,
      install: [packed.tarball, ...more],
      registry,
      cache: join(folder.path, 'cache'),
    })
  ;[esm, commonjs, typed] = await Promise.all([
    project('esm', 'module'),
    project('commonjs', 'commonjs'),
    project('typed', 'module', '@types/node'),
  ])
  readme = await readFile(join(esm.path, 'node_modules/@keytool/keygen/README.md'), 'utf8')
})

afterAll(async () => {
  await registry?.stop()
  await folder?.dispose()
})

const inPackage = (project: Project, file: string) => join(project.path, 'node_modules/@keytool/keygen', file)
const sorted = (names: Iterable<string>) => [...new Set(names)].sort()

describe('the tarball', () => {
  test('holds what is built from the sources, README, licence and manifest, and nothing else', async () => {
    const { stdout } = await runOrThrow('find', ['src', '-type', 'f'], { cwd: join(root, 'packages/keygen') })
    const sources = stdout.trim().split('\n')
    expect(sources).toContain('src/index.ts')
    const built = sources.flatMap(source =>
      ['.js', '.d.ts'].map(end => source.replace(/^src(.*)\.ts$/, `dist$1${end}`)),
    )
    expect(packed.files).toEqual(sorted([...built, 'LICENSE', 'README.md', 'package.json']))
  })

  test('says nothing of the machine it was made on, and names no map', async () => {
    const places = [root.replace(/\/$/, ''), folder.path, homedir()].filter(place => place.length > 1)
    const words = [...places, 'sourceMappingURL']
    for (const file of packed.files) {
      const text = await readFile(inPackage(esm, file), 'utf8')
      expect([file, words.filter(word => text.includes(word))]).toEqual([file, []])
    }
  })

  test('publint has nothing to say', async () => {
    const { publint } = await import('publint')
    const bytes = await readFile(packed.tarball)
    const tarball = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length) as ArrayBuffer
    const { messages } = await publint({ pack: { tarball }, strict: true, level: 'suggestion' })
    expect(messages).toEqual([])
  })

  test('attw finds its types right, for whoever imports it', async () => {
    const attw = join(root, 'node_modules/.bin/attw')
    // What it would say besides: node10 knows no exports, and require() of an ES module fails before Node 20.19.
    const result = await run(attw, [packed.tarball, '--profile', 'esm-only', '--format', 'json'], {
      timeoutMs: 200_000,
    })
    const { analysis } = JSON.parse(result.stdout) as { analysis: { problems: { resolutionKind?: string }[] } }
    const kinds = sorted(analysis.problems.map(({ resolutionKind = 'any' }) => resolutionKind))
    expect(kinds.filter(kind => kind !== 'node10' && kind !== 'node16-cjs')).toEqual([])
    expect(result.status).toBe(0)
  })
})

describe('in an empty project', () => {
  const roundTrip = `
const passphrase = Buffer.from('grüße')
const roundTrip = async ({ fingerprint, formatOfOption, generate, inspectKeys, readPrivateKey }) => {
  const key = await generate('ed25519', { comment: 'hana' })
  for (const option of ['openssh', 'ppk']) {
    const file = await formatOfOption(option).write(key, { passphrase })
    const [facts] = await inspectKeys(file)
    const same = await readPrivateKey(file, { passphrase })
    const signature = await same.sign(passphrase)
    console.log(facts.format, facts.encrypted, same.comment, await key.publicKey.verify(passphrase, signature))
    if (fingerprint(same.publicKey) !== fingerprint(key.publicKey)) throw new Error('another key')
  }
}
`
  const printed = { status: 0, stdout: 'openssh true hana true\nppk3 true hana true\n', stderr: '' }

  test('import: a key made, written, read back', async () => {
    await esm.write('trip.js', `import * as keygen from '@keytool/keygen'${roundTrip}await roundTrip(keygen)\n`)
    expect(await esm.node('trip.js')).toMatchObject(printed)
  })

  test('require(): the same', async () => {
    await commonjs.write('trip.js', `const keygen = require('@keytool/keygen')${roundTrip}roundTrip(keygen)\n`)
    expect(await commonjs.node('trip.js')).toMatchObject(printed)
  })

  test('importing it changes nothing, opens nothing and listens for nothing', async () => {
    await esm.write(
      'look.js',
      `const look = () => JSON.stringify([
  Reflect.ownKeys(globalThis).map(String), process.eventNames().map(String), process.env, process.getActiveResourcesInfo(),
  [Object, Array, Promise, Buffer, Uint8Array, Error].map(each => Reflect.ownKeys(each.prototype).map(String)),
])
const before = look()
await import('@keytool/keygen')
console.log(look() === before)
`,
    )
    expect(await esm.node('look.js')).toMatchObject({ status: 0, stdout: 'true\n', stderr: '' })
  })

  test('importing it loads no other package, and nothing of node that reaches outside', async () => {
    // Every module that is asked for is told on standard output.
    await esm.write(
      'watch.js',
      `import { writeSync } from 'node:fs'
export const resolve = async (specifier, context, next) => {
  const found = await next(specifier, context)
  writeSync(1, found.url + '\\n')
  return found
}
`,
    )
    await esm.write(
      'import.js',
      `import { register } from 'node:module'
register('./watch.js', import.meta.url)
await import('@keytool/keygen')
`,
    )
    const { status, stdout, stderr } = await esm.node('import.js')
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    const modules = stdout.trim().split('\n')
    const own = modules.filter(url => url.includes('/@keytool/keygen/dist/'))
    expect(own.some(url => url.endsWith('/index.js'))).toBe(true)
    // The lists of Debian's weak keys are larger than all the rest.
    expect(own.filter(url => url.includes('debian'))).toEqual([])
    const others = modules.filter(url => !own.includes(url))
    expect(others.filter(url => !url.startsWith('node:'))).toEqual([])
    const outside = /:(fs|net|tls|https?|http2|dgram|dns|child_process|readline|inspector|worker_threads)\b/
    expect(others.filter(url => outside.test(url))).toEqual([])
  })

  test('without the packages it depends on, it does what needs none of them', async () => {
    await cp(inPackage(esm, ''), join(folder.path, 'alone/node_modules/@keytool/keygen'), { recursive: true })
    const script = join(folder.path, 'alone/alone.mjs')
    await writeFile(
      script,
      `import { formatOfOption, generate, readPrivateKey } from '@keytool/keygen'
const passphrase = Buffer.from('right')
const file = await formatOfOption('openssh').write(await generate('ecdsa-256'), { passphrase })
console.log((await readPrivateKey(file, { passphrase })).algorithm.name)
`,
    )
    const result = await run(process.execPath, [script])
    expect(result).toMatchObject({ status: 0, stdout: 'ecdsa-sha2-nistp256\n', stderr: '' })
  })
})

describe('types', () => {
  const program = `import { type ErrorCode, formatOfOption, generate, type Inspected, inspectKeys, isKeytoolError, keyFormats,
  type PrivateKey, PublicKey, readPrivateKey, type Signer } from '@keytool/keygen'

export async function convert(file: Uint8Array, passphrase?: Uint8Array): Promise<Buffer> {
  const key: PrivateKey = await readPrivateKey(Buffer.from(file), passphrase && { passphrase })
  const signer: Signer = key
  const blob: Buffer = (await signer.sign(file)).blob
  const verified: boolean = await PublicKey.fromBlob(key.publicKey.blob).verify(file, { scheme: 'ssh-ed25519', blob })
  return formatOfOption(verified ? 'openssh' : 'ppk').write(key)
}

export function describeOne(found: Inspected): string | undefined {
  // Only a private key's facts have these.
  return found.kind === 'private' ? found.kdf?.name : found.public?.comment
}

export async function codeOf(file: Buffer): Promise<ErrorCode | undefined> {
  const error: unknown = await inspectKeys(file).catch((caught: unknown) => caught)
  return isKeytoolError(error) ? error.code : undefined
}

// What must not pass: these types are none of TypeScript's \`any\`.
// @ts-expect-error a key is no text
export const line: string = (await generate('ed25519')).publicKey.blob
// @ts-expect-error not every format can be written
export const write = (key: PrivateKey) => keyFormats[0]?.write(key)
// @ts-expect-error no such code
export const code: ErrorCode = 'oops'
`
  const strict = [
    '--ignoreConfig',
    '--noEmit',
    '--strict',
    '--exactOptionalPropertyTypes',
    '--noUncheckedIndexedAccess',
  ]
  const options = [...strict, '--skipLibCheck', 'false', '--target', 'es2023']
  const ways: Record<string, string[]> = {
    nodenext: ['--module', 'nodenext', '--moduleResolution', 'nodenext'],
    bundler: ['--module', 'esnext', '--moduleResolution', 'bundler'],
  }

  test.each(Object.keys(ways))('resolve under %s, and are those of the library', async name => {
    await typed.write('program.ts', program)
    const result = await typed.tsc(...options, ...(ways[name] ?? []), '--types', 'node', 'program.ts')
    expect(result).toMatchObject({ status: 0, stdout: '' })
  })

  test('bring those of node along, which TypeScript takes no longer unasked', async () => {
    await typed.write('program.ts', program)
    const result = await typed.tsc(...options, ...(ways['nodenext'] ?? []), 'program.ts')
    expect(result).toMatchObject({ status: 0, stdout: '' })
  })

  test('resolve in a CommonJS file, which may require() it', async () => {
    await typed.write('program.cts', program.slice(0, program.indexOf('// What must')))
    const args = [...options, ...(ways['nodenext'] ?? []), '--types', 'node', 'program.cts']
    expect(await typed.tsc(...args)).toMatchObject({ status: 0, stdout: '' })
  })

  test('without @types/node, TypeScript says what to install', async () => {
    await esm.write('program.ts', program)
    const result = await esm.tsc(...options, ...(ways['nodenext'] ?? []), 'program.ts')
    expect(result.status).not.toBe(0)
    expect(result.stdout).toContain('npm i --save-dev @types/node')
  })

  test('of the README’s examples are right', async () => {
    const examples = readBlocks(readme).filter(({ language }) => language === 'ts')
    const files = await Promise.all(examples.map(({ text }, i) => typed.write(`example-${i}.ts`, text)))
    for (const way of Object.values(ways)) {
      const result = await typed.tsc(...options, ...way, '--types', 'node', ...files)
      expect(result).toMatchObject({ status: 0, stdout: '' })
    }
  })
})

describe('the README', () => {
  test('its examples run as they stand, and print what it says', async () => {
    const blocks = readBlocks(readme)
    const examples = blocks.flatMap((block, i) => (block.language === 'ts' ? [{ ...block, next: blocks[i + 1] }] : []))
    expect(examples.length).toBeGreaterThan(7)
    const files = await Promise.all(examples.map(({ text }, i) => typed.write(`run-${i}.ts`, text)))
    const emit = ['--ignoreConfig', '--outDir', 'out', '--target', 'es2023', '--types', 'node', '--module', 'nodenext']
    await runOrThrow(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), ...emit, ...files], {
      cwd: typed.path,
      timeoutMs: 200_000,
    })
    for (const [i, { heading, next }] of examples.entries()) {
      const { status, stdout, stderr } = await typed.node(`out/run-${i}.js`)
      const said = next?.language === 'text' && next.heading === heading ? next.text : ''
      expect({ heading, status, stdout, stderr }).toEqual({ heading, status: 0, stdout: said, stderr: '' })
    }
  })

  /** What the installed package has, as JSON: functions are left out. */
  async function askPackage<T>(expression: string): Promise<T> {
    const program = `import * as keygen from '@keytool/keygen'; console.log(JSON.stringify(${expression}))`
    const { stdout } = await runOrThrow(process.execPath, ['--input-type=module', '-e', program], { cwd: esm.path })
    return JSON.parse(stdout) as T
  }

  test('its tables of types and formats are the library’s', async () => {
    const types = readTable(readme, 'Key types').map(([type = '', name = '', made = '']) => [
      ...readNames(type),
      ...readNames(name),
      made.startsWith('yes'),
    ])
    expect(types).toEqual(await askPackage('keygen.algorithms.map(row => [row.type, row.name, Boolean(row.generate)])'))

    const formats = readTable(readme, 'Private formats').map(([option = '', , ciphers = '']) => [
      ...readNames(option),
      readNames(ciphers),
    ])
    const rows = await askPackage<unknown[]>('keygen.keyFormats.map(row => [row.option ?? row.name, row.ciphers])')
    expect(new Set(formats)).toEqual(new Set(rows))

    const publicNames = readTable(readme, 'Public formats').flatMap(([name = '']) => readNames(name))
    const readOnly = readTable(readme, 'Public formats').filter(([, whose = '']) => / read only| refused/.test(whose))
    expect(sorted(publicNames)).toEqual(sorted(await askPackage('keygen.publicFormats.map(({ name }) => name)')))
    expect(sorted(readOnly.flatMap(([name = '']) => readNames(name)))).toEqual(
      sorted(await askPackage('keygen.publicFormats.filter(({ write }) => !write).map(({ name }) => name)')),
    )
  })

  test('it names every export, and no other', async () => {
    const named = readTable(readme, 'Exports').flatMap(([names = '']) => readNames(names))
    const values = await askPackage<string[]>('Object.keys(keygen)')
    expect(values.filter(name => !named.includes(name))).toEqual([])
    // Types have no names at run time: the declarations have them.
    const declared = await readFile(inPackage(esm, 'dist/index.d.ts'), 'utf8')
    const lists = [...declared.matchAll(/export (type )?\{([^}]*)\}/g)]
    const types = lists.flatMap(([, all, list = '']) => list.match(all ? /\w+/g : /type \w+/g) ?? [])
    const typeNames = types.map(each => each.replace('type ', ''))
    expect(typeNames.filter(name => !named.includes(name))).toEqual([])
    // And each that is named can be imported.
    const imports = named.map(name => `import type { ${name} as _${name} } from '@keytool/keygen'\n`).join('')
    await typed.write('names.ts', imports)
    const args = ['--ignoreConfig', '--noEmit', '--module', 'nodenext', '--types', 'node', '--skipLibCheck', 'names.ts']
    expect(await typed.tsc(...args)).toMatchObject({ status: 0, stdout: '' })
  })
})
