import { setTimeout as sleep } from 'node:timers/promises'
import { KeytoolError } from '@keytool/keygen'
import { type Member, nameMember } from '../src/fleet/member.js'
import { overHosts } from '../src/fleet/over-hosts.js'
import { makeMember, makeStage } from './fleet-fixture.js'

// The same on every host, several at once.

const members = (count: number) => Array.from({ length: count }, (_, i) => makeMember(`web${i}`))
const fine = (member: Member) => ({ ...nameMember(member), state: 'done', code: 0, detail: 'done' })

test('as many at once as were asked for, and never more; the outcomes stand in the order of the hosts', async () => {
  let now = 0
  let most = 0
  const work = async (member: Member) => {
    most = Math.max(most, ++now)
    // The later ones are quicker.
    await sleep(member.word === 'web0' ? 20 : 1)
    now--
    return fine(member)
  }
  const outcomes = await overHosts(members(20), { parallel: '4' }, makeStage().context, work)
  expect(most).toBe(4)
  expect(outcomes).toEqual(members(20).map(fine))
})

test('what goes wrong on one host is said with its name, becomes its outcome, and stops nobody else', async () => {
  const { context, err } = makeStage()
  const outcomes = await overHosts(members(4), {}, context, async (member, own) => {
    own.say.note('a note')
    if (member.word === 'web1') throw new KeytoolError('unreachable', 'nobody answers', { hint: 'try again' })
    if (member.word === 'web2') throw new TypeError('a mistake of ours')
    return fine(member)
  })
  expect(outcomes.map(({ state, code }) => [state, code])).toEqual([
    ['done', 0],
    ['failed', 7],
    ['failed', 1],
    ['done', 0],
  ])
  expect(outcomes[1]?.detail).toBe('nobody answers')
  const said = err()
  for (const word of ['web0', 'web1', 'web2', 'web3']) expect(said).toContain(`${word}: a note\n`)
  expect(said).toContain('keytool: web1: nobody answers\n  try again\n')
  expect(said).toContain('unexpected: a mistake of ours')
})

test('of one host alone nobody has to be told whom it is about', async () => {
  const { context, err } = makeStage()
  await overHosts(members(1), {}, context, async (member, own) => {
    own.say.note('a note')
    own.say.transient('connecting')
    return fine(member)
  })
  expect(err()).toBe('a note\n')
})

test('a question that is left ends all: those under way are told, those that wait are not begun', async () => {
  const begun: string[] = []
  const outcomes = await overHosts(members(5), { parallel: '2' }, makeStage().context, async (member, { leaving }) => {
    begun.push(member.word)
    if (member.word === 'web0') throw new KeytoolError('cancelled', 'stopped at the prompt')
    await new Promise(resolve => leaving?.addEventListener('abort', resolve))
    throw new KeytoolError('unreachable', 'the connection was closed')
  })
  expect(begun).toEqual(['web0', 'web1'])
  expect(new Set(outcomes.map(({ state, code }) => `${state} ${code}`))).toEqual(new Set(['stopped 130']))
})

test('what was done when it was left is what it says', async () => {
  const outcomes = await overHosts(members(3), { parallel: '3' }, makeStage().context, async (member, { leaving }) => {
    if (member.word === 'web0') return fine(member)
    if (member.word === 'web1') throw new KeytoolError('cancelled', 'stopped at the prompt')
    await new Promise(resolve => leaving?.addEventListener('abort', resolve))
    return { ...fine(member), code: 130, detail: 'half done' }
  })
  expect(outcomes.map(({ detail }) => detail)).toEqual(['done', 'stopped before it was done', 'half done'])
})

test('a host that the file says nothing sensible about is an outcome without any work', async () => {
  const refused = new KeytoolError('unsupported', 'hosts.yml line 3: a template')
  const worked: string[] = []
  const outcomes = await overHosts(
    [makeMember('web0'), makeMember('web1', { refused })],
    {},
    makeStage().context,
    async member => {
      worked.push(member.word)
      return fine(member)
    },
  )
  expect(worked).toEqual(['web0'])
  expect(outcomes[1]).toMatchObject({ host: 'web1', state: 'failed', code: 6, detail: 'hosts.yml line 3: a template' })
})

test('Ctrl-C is listened for meanwhile, and not afterwards', async () => {
  const before = process.listenerCount('SIGINT')
  let during = 0
  await overHosts(members(1), {}, makeStage().context, async member => {
    during = process.listenerCount('SIGINT')
    return fine(member)
  })
  expect([during, process.listenerCount('SIGINT')]).toEqual([before + 1, before])
})

test.each(['0', '-1', '257', 'x', ''])('--parallel %j: 2', async parallel => {
  await expect(
    overHosts(members(1), { parallel }, makeStage().context, async member => fine(member)),
  ).rejects.toMatchObject({
    code: 'usage',
  })
})
