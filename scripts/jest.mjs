// Starts jest with what ES modules need, and hands every argument on.
import { spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

const require = createRequire(import.meta.url)
const jest = join(dirname(require.resolve('jest/package.json')), 'bin', 'jest.js')
const flags = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning']
const result = spawnSync(process.execPath, [...flags, jest, ...process.argv.slice(2)], {
  stdio: 'inherit',
  env: { ...process.env, NODE_OPTIONS: flags.join(' ') },
})
process.exitCode = result.status ?? 1
