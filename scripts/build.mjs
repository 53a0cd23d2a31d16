// Bundles the command line program: our code in three CommonJS files, which start fastest (one for the commands that work
// on files alone, one for those that talk to the agent or to servers, one for the child that talks to the system's
// keychain), and each heavy library in a file of its own beside
// them, loaded by the commands that need it. Types are checked by `tsc -b`, which runs before.
import { chmod, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { build } from 'esbuild'

const out = 'packages/cli/dist'
/** Built beside it and then moved: whoever runs the program meanwhile finds the old one whole. */
const fresh = `${out}.new`

/** Parts that cost much to load: the file each becomes, and what of which modules is in it. */
const heavy = {
  yaml: { yaml: 'isAlias, isMap, isNode, isScalar, isSeq, Lexer, LineCounter, parseAllDocuments' },
  ssh2: { ssh2: 'default' },
  sshpk: { sshpk: 'default' },
  iconv: { 'iconv-lite': 'default' },
  mldsa: { '@noble/post-quantum/ml-dsa.js': 'ml_dsa44' },
  mlkem: { '@noble/post-quantum/ml-kem.js': 'ml_kem768' },
  inquirer: {
    inquirer: 'default',
    '@inquirer/core': 'createPrompt, isEnterKey, makeTheme, useEffect, useKeypress, usePrefix, useState',
  },
  // Three files: keys that somebody presses are looked at between one and the next.
  zxcvbn: { '@zxcvbn-ts/core': 'ZxcvbnFactory' },
  'zxcvbn-common': { '@zxcvbn-ts/language-common': 'adjacencyGraphs, dictionary' },
  'zxcvbn-english': { '@zxcvbn-ts/language-en': 'dictionary' },
  words: { '@scure/bip39/wordlists/english.js': 'wordlist' },
  'dbus-message': { '@homebridge/dbus-native/lib/message.js': 'default' },
  'dbus-buffer': { '@homebridge/dbus-native/lib/dbus-buffer.js': 'default' },
}
/** Parts of ours in packages/keygen/src/check that are files of their own, too: some hundred KB that few commands look at. */
const apart = ['debian', 'debian-rsa-2048', 'debian-dsa-1024']
/** Native or self-contained parts that npm installs beside the program. */
const external = ['@node-rs/argon2', 'hash-wasm', 'keytar', 'koffi', 'cpu-features', '*.node']

const common = {
  bundle: true,
  platform: 'node',
  target: 'node20',
  format: 'cjs',
  conditions: ['@keytool/source'],
  external,
  legalComments: 'linked',
  logLevel: 'warning',
  // Half the text to parse is some milliseconds of every start.
  minify: true,
  // import() of a CommonJS file costs twice what require() does: node looks for its names first.
  supported: { 'dynamic-import': false },
}

const besideUs = {
  name: 'parts that are files of their own',
  setup(builder) {
    const outside = path => ({ path, external: true })
    for (const [file, modules] of Object.entries(heavy)) {
      const filter = new RegExp(`^(${Object.keys(modules).join('|')})$`)
      builder.onResolve({ filter }, () => outside(`./vendor/${file}.cjs`))
    }
    builder.onResolve({ filter: new RegExp(`/(${apart.join('|')})\\.js$`) }, ({ path, kind, importer }) => {
      if (kind !== 'dynamic-import') return undefined
      const folder = importer.includes('/check/debian') ? '.' : './vendor'
      return outside(`${folder}/${path.replace(/.*\//, '').replace('.js', '.cjs')}`)
    })
    builder.onResolve({ filter: /^(\.\.?\/)+online\.js$/ }, () => outside('./online.cjs'))
  },
}

// commander loads this for sub-commands that are programs of their own, which we have none of. It costs 2 ms.
const withoutChildProcess = {
  name: 'commander without child_process',
  setup(builder) {
    builder.onResolve({ filter: /^node:child_process$/ }, ({ importer }) =>
      importer.includes('node_modules/commander/') ? { path: 'nothing', namespace: 'nothing' } : undefined,
    )
    builder.onLoad({ filter: /.*/, namespace: 'nothing' }, () => ({ contents: 'module.exports = {}' }))
  },
}

/** Every package of npm's of which something is in a bundle. */
const bundled = new Set()

async function bundle(options) {
  const { metafile } = await build({ ...common, metafile: true, ...options })
  for (const input of Object.keys(metafile.inputs)) {
    const name = /.*node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(input)?.[1]
    if (name) bundled.add(name)
  }
}

/** Who the bundled parts are from, and under which terms, as those terms ask for. */
async function thirdParties() {
  const parts = []
  for (const name of [...bundled].sort()) {
    const folder = `node_modules/${name}`
    const { version, license } = JSON.parse(await readFile(`${folder}/package.json`, 'utf8'))
    const files = (await readdir(folder)).filter(each => /^(licen[cs]e|notice)/i.test(each))
    const texts = await Promise.all(files.map(file => readFile(`${folder}/${file}`, 'utf8')))
    parts.push(`${name} ${version} (${license})\n\n${texts.map(text => text.trim()).join('\n\n')}\n`)
  }
  return parts.join(`\n${'-'.repeat(80)}\n\n`)
}

await rm(fresh, { recursive: true, force: true })

for (const [file, modules] of Object.entries(heavy)) {
  const contents = Object.entries(modules).map(([name, names]) => `export { ${names} } from '${name}'`)
  // What node gives as the default import of a CommonJS file is all that the file exports.
  const withDefault = 'module.exports = Object.assign(module.exports.default, module.exports)'
  await bundle({
    stdin: { contents: contents.join('\n'), resolveDir: 'packages/cli' },
    outfile: `${fresh}/vendor/${file}.cjs`,
    ...(Object.values(modules).includes('default') && { footer: { js: withDefault } }),
  })
}

for (const file of apart) {
  await bundle({
    entryPoints: [`packages/keygen/src/check/${file}.ts`],
    outfile: `${fresh}/vendor/${file}.cjs`,
    plugins: [besideUs],
  })
}

for (const [entry, file, banner] of [
  ['cli/src/entry.ts', 'keytool.cjs', '#!/usr/bin/env node'],
  ['cli/src/online.ts', 'online.cjs', ''],
  ['agent/src/keychain/main.ts', 'keychain.cjs', ''],
]) {
  await bundle({
    entryPoints: [`packages/${entry}`],
    outfile: `${fresh}/${file}`,
    banner: { js: banner },
    plugins: [besideUs, withoutChildProcess],
  })
}
await chmod(`${fresh}/keytool.cjs`, 0o755)
await writeFile(`${fresh}/THIRD-PARTY.txt`, await thirdParties())
await rm(out, { recursive: true, force: true })
await rename(fresh, out)

const { version } = JSON.parse(await readFile('packages/cli/package.json', 'utf8'))
console.log(`built keytool ${version}: ${out}/keytool.cjs`)
