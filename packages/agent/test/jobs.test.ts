import { Jobs } from '../src/ring/jobs.js'

/** Jobs whose work ends when told to, and a note of what began, in order. */
function makeJobs(most: number) {
  const jobs = new Jobs(most)
  const begun: string[] = []
  const ends: (() => void)[] = []
  const add = (client: { gone: boolean }, name: string) =>
    jobs.run(client, async () => {
      begun.push(name)
      await new Promise<void>(resolve => ends.push(resolve))
      return name
    })
  async function endOne(): Promise<void> {
    ends.shift()?.()
    await new Promise(setImmediate)
  }
  return { jobs, begun, add, endOne }
}

test('so many at a time, and clients take turns', async () => {
  const { begun, add, endOne } = makeJobs(2)
  const [greedy, one, two] = [{ gone: false }, { gone: false }, { gone: false }]
  const all = ['a', 'b', 'c', 'd', 'e'].map(name => add(greedy, name))
  all.push(add(one, '1'), add(two, '2'), add(one, '3'))
  expect(begun).toEqual(['a', 'b'])
  for (let i = 0; i < 8; i++) await endOne()
  expect(begun).toEqual(['a', 'b', 'c', '1', '2', 'd', '3', 'e'])
  expect(await Promise.all(all)).toEqual(['a', 'b', 'c', 'd', 'e', '1', '2', '3'])
})

test('what a client waited for who is gone is dropped, without a turn', async () => {
  const { begun, add, endOne } = makeJobs(1)
  const [gone, other] = [{ gone: false }, { gone: false }]
  const first = add(gone, 'a')
  const dropped = Promise.allSettled(['b', 'c', 'd'].map(name => add(gone, name)))
  const last = add(other, '1')
  gone.gone = true
  await endOne()
  expect(begun).toEqual(['a', '1'])
  await endOne()
  expect(await Promise.all([first, last])).toEqual(['a', '1'])
  const reason = expect.objectContaining({ code: 'cancelled' })
  expect(await dropped).toEqual(new Array(3).fill({ status: 'rejected', reason }))
})

test('a job that fails makes room as one that succeeds', async () => {
  const { jobs } = makeJobs(1)
  const client = { gone: false }
  const fails = jobs.run(client, () => Promise.reject(new Error('no')))
  const works = jobs.run(client, async () => 'yes')
  await expect(fails).rejects.toThrow('no')
  expect(await works).toBe('yes')
})
