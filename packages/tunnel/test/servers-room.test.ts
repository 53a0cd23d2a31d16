import { KeytoolError } from '@keytool/keygen'
import { openWhenRoom } from '../src/servers/open-session.js'

/** As the engine tells of CHANNEL_OPEN_FAILURE. */
const refusal = (reason: number) =>
  new KeytoolError('unreachable', 'no', { cause: Object.assign(new Error('open failed'), { reason }) })

/** Fails so often, then opens. */
function failing(error: unknown, times: number) {
  const seen = { tries: 0, pauses: [] as number[] }
  const open = async () => {
    if (++seen.tries <= times) throw error
    return 'open'
  }
  const pause = async (time: number) => seen.pauses.push(time)
  return { seen, run: () => openWhenRoom(open, pause) }
}

test.each([2, 4])('where there is no room (%i), it is asked again, each time later', async reason => {
  const { seen, run } = failing(refusal(reason), 3)
  expect(await run()).toBe('open')
  expect(seen.pauses).toHaveLength(3)
  expect([...seen.pauses].sort((a, b) => a - b)).toEqual(seen.pauses)
})

test('where there never is, the refusal is the answer, after a second', async () => {
  const error = refusal(2)
  const { seen, run } = failing(error, Number.POSITIVE_INFINITY)
  await expect(run()).rejects.toBe(error)
  expect(seen.pauses.reduce((sum, time) => sum + time)).toBeLessThan(1_000)
})

test.each([
  ['what is not allowed', refusal(1)],
  ['a command that was cut off', new KeytoolError('unreachable', 'cut', { cause: new Error('read ECONNRESET') })],
  ['what is no error of ours', new TypeError('x')],
])('%s is not asked for again', async (_what, error) => {
  const { seen, run } = failing(error, 1)
  await expect(run()).rejects.toBe(error)
  expect(seen).toEqual({ tries: 1, pauses: [] })
})
