// Bundles the command line program: all our code in one CommonJS file, which starts fastest, and each heavy library in
// a file of its own beside it, loaded by those commands that need it. Types are checked by `tsc -b`, which runs before.
import { chmod, readFile, rm } from 'node:fs/promises'
import { build } from 'esbuild'

const out = 'packages/cli/dist'
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
  legalComments: 'linked',
  logLevel: 'warning',
}

await rm(out, { recursive: true, force: true })

for (const name of heavy) {
  await build({
    ...common,
    stdin: { contents: `export { default } from '${name}'`, resolveDir: 'packages/cli' },
    outfile: `${out}/vendor/${name}.cjs`,
    external,
    // What node gives as the default import of a CommonJS file is all that the file exports.
    footer: { js: 'module.exports = module.exports.default' },
    minify: true,
  })
}

const besideUs = {
  name: 'heavy libraries beside us',
  setup(builder) {
    builder.onResolve({ filter: new RegExp(`^(${heavy.join('|')})$`) }, ({ path }) => ({
      path: `./vendor/${path}.cjs`,
      external: true,
    }))
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

await build({
  ...common,
  entryPoints: ['packages/cli/src/entry.ts'],
  outfile: `${out}/keytool.cjs`,
  banner: { js: '#!/usr/bin/env node' },
  plugins: [besideUs, withoutChildProcess],
  external,
  // Half the text to parse is some milliseconds of every start.
  minify: true,
})
await chmod(`${out}/keytool.cjs`, 0o755)

const { version } = JSON.parse(await readFile('packages/cli/package.json', 'utf8'))
console.log(`built keytool ${version}: ${out}/keytool.cjs`)
