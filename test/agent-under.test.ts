import { lstat } from 'node:fs/promises'
import { jest } from '@jest/globals'
import { during, leaveHome, startOurAgent } from './agent-fixture.js'
import { type Home, temporaryHome } from './world/home.js'
import { keytool } from './world/run.js'
import { startKeytool } from './world/start.js'

// `keytool agent -- PROGRAM`: a program under an agent of its own.

jest.setTimeout(60_000)

let home: Home

beforeEach(async () => {
  home = await temporaryHome()
})

afterEach(() => leaveHome(home))

test('finds that agent, not the one at the fixed place; its status is ours; the agent ends with it', async () => {
  const fixed = await startOurAgent(home)
  const script = 'echo "$SSH_AUTH_SOCK"; ssh-add -l; kill -0 "$SSH_AGENT_PID" && exit 7'
  const result = await keytool(['agent', '--', 'sh', '-c', script], { env: home.env })
  expect(result.status).toBe(7)
  const [socket = '', listed] = result.stdout.split('\n')
  expect(socket).not.toBe(fixed.socket)
  expect(listed).toBe('The agent has no identities.')
  await expect(lstat(socket)).rejects.toMatchObject({ code: 'ENOENT' })
  await fixed.stop()
})

test('gets its words and options untouched, with and without --', async () => {
  for (const args of [
    ['--', 'echo', '-k', '--help', 'a  b'],
    ['echo', '-k', '--help', 'a  b'],
  ]) {
    expect(await keytool(['agent', ...args], { env: home.env })).toMatchObject({
      status: 0,
      stdout: '-k --help a  b\n',
    })
  }
  expect((await keytool(['agent', '--', 'status'], { env: home.env })).status).toBe(3)
})

test('gets input, and its death by a signal is passed on', async () => {
  const cat = await keytool(['agent', '--', 'cat'], { env: home.env, input: 'through' })
  expect(cat).toMatchObject({ status: 0, stdout: 'through' })
  expect((await keytool(['agent', '--', 'sh', '-c', 'kill -TERM $$'], { env: home.env })).status).toBe(143)
})

test('is told of SIGTERM, and then both are gone', async () => {
  const script = 'trap "exit 5" TERM; echo ready; while :; do sleep 0.1; done'
  await during(startKeytool(['agent', '--', 'sh', '-c', script], { env: home.env }), async running => {
    await running.waitFor(/ready/)
    expect(await running.stop('SIGTERM')).toEqual({ status: 5, signal: null })
  })
})
