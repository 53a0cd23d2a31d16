import { hardenProcess } from '../src/platform/harden.js'
import { later } from './support.js'

/** What is added to SIGUSR1 by the test; gone when it ends. */
function handlersAddedBy(act: () => void): NodeJS.SignalsListener[] {
  const before = process.listeners('SIGUSR1')
  act()
  const added = process.listeners('SIGUSR1').filter(listener => !before.includes(listener))
  later(() => {
    for (const listener of added) process.off('SIGUSR1', listener)
  })
  return added as NodeJS.SignalsListener[]
}

test("node's variables go, the others stay", () => {
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
  const added = handlersAddedBy(() => hardenProcess(env))
  expect(env).toEqual({ HOME: '/home/hana' })
  expect(added).toHaveLength(1)
})

test('SIGUSR1 does what the caller says, and only that', () => {
  let calls = 0
  const added = handlersAddedBy(() => hardenProcess({}, { onUser1: () => calls++ }))
  expect(added).toHaveLength(1)
  expect(calls).toBe(0)
  // Jest's process gets no signals; that they come is seen in the tests of the whole program.
  for (const handle of added) handle('SIGUSR1')
  expect(calls).toBe(1)
})
