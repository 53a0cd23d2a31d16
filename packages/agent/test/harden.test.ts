import { hardenProcess } from '../src/platform/index.js'

test("node's variables go, the others stay", () => {
  const listeners = process.listeners('SIGUSR1')
  const env: NodeJS.ProcessEnv = {
    NODE_OPTIONS: '--inspect',
    NODE_DEBUG: 'net',
    NODE_DEBUG_NATIVE: 'all',
    NODE_PATH: '/tmp',
    NODE_V8_COVERAGE: '/tmp',
    NODE_REPL_HISTORY: '/tmp/x',
    NODE_INSPECT_RESUME_ON_START: '1',
    NODE_EXTRA_CA_CERTS: 'ca.pem',
    HOME: '/home/hana',
  }
  hardenProcess(env)
  expect(env).toEqual({ HOME: '/home/hana' })
  const added = process.listeners('SIGUSR1').filter(listener => !listeners.includes(listener))
  expect(added).toHaveLength(1)
  for (const listener of added) process.off('SIGUSR1', listener)
})
