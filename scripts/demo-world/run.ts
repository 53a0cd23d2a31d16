import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startMailServer } from './mail-server.js'
import { startSshServer } from './ssh-server.js'
import { Stage } from './stage.js'
import { playStory } from './story.js'

/** Long enough for a slow machine; a demo that hangs helps nobody. In milliseconds. */
const TIME_LIMIT = 120_000

/** Plays the whole story and takes everything away again, however it ends. Returns the exit status. */
async function main(): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'keytool-demo-'))
  const stage = new Stage(folder)
  const timer = setTimeout(() => stage.interrupt('it took too long'), TIME_LIMIT)
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => stage.interrupt(signal))
  let status = 0
  try {
    await stage.race(playStory(stage, { startMailServer, startSshServer }))
  } catch (error) {
    console.error(`\nthe demo stopped: ${error instanceof Error ? error.message : error}`)
    status = 1
  } finally {
    clearTimeout(timer)
    await stage.clear()
    await rm(folder, { recursive: true, force: true })
  }
  const left = await stat(folder).catch(() => undefined)
  if (left || stage.isAnythingRunning()) {
    console.error('something was left behind')
    return 1
  }
  if (status === 0) console.log('\nAll of it was stopped and removed; nothing is left behind.')
  return status
}

process.exitCode = await main()
