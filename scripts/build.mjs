// Bundles the command line program: our code in two CommonJS files, which start fastest (one for the commands that work
// on files alone, one for those that talk to the agent or to servers), and each heavy library in a file of its own beside
// them, loaded by the commands that need it. Types are checked by `tsc -b`, which runs before.
import { chmod, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { build } from 'esbuild'

const out = 'packages/cli/dist'
/** Built beside it and then moved: whoever runs the program meanwhile finds the old one whole. */
const fresh = `${out}.new`

/** Libraries that cost much to load, by the name they are imported by. */
const heavy = ['ssh2', 'inquirer']
/** Native or self-contained parts that npm installs beside the program. */
const external = ['@node-rs/argon2', 'hash-wasm', 'cpu-features', '*.node']

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
}

const besideUs = {
  name: 'parts that are files of their own',
  setup(builder) {
    const outside = path => ({ path, external: true })
    builder.onResolve({ filter: new RegExp(`^(${heavy.join('|')})$`) }, ({ path }) => outside(`./vendor/${path}.cjs`))
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
    const file = (await readdir(folder)).find(each => /^licen[cs]e/i.test(each))
    const text = file ? (await readFile(`${folder}/${file}`, 'utf8')).trim() : ''
    parts.push(`${name} ${version} (${license})\n\n${text}\n`)
  }
  return parts.join(`\n${'-'.repeat(80)}\n\n`)
}

await rm(fresh, { recursive: true, force: true })

for (const name of heavy) {
  await bundle({
    stdin: { contents: `export { default } from '${name}'`, resolveDir: 'packages/cli' },
    outfile: `${fresh}/vendor/${name}.cjs`,
    // What node gives as the default import of a CommonJS file is all that the file exports.
    footer: { js: 'module.exports = module.exports.default' },
  })
}

for (const [entry, file, banner] of [
  ['entry.ts', 'keytool.cjs', '#!/usr/bin/env node'],
  ['online.ts', 'online.cjs', ''],
]) {
  await bundle({
    entryPoints: [`packages/cli/src/${entry}`],
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
