import { setMaxListeners } from 'node:events'
import { KeytoolError } from '@keytool/keygen'
import { createPrompts } from '../src/unlock/chain.js'
import type { Prompter } from '../src/unlock/prompter.js'
import type { Caller } from '../src/who.js'

const never = new AbortController().signal
// Many wait for it at a time.
setMaxListeners(0, never)

function caller(pid: number, ...above: number[]): Caller {
  const programs = [pid, ...above].map(each => ({ pid: each, name: 'x' }))
  return { peer: { pid, programs }, binding: { hops: [], failed: false } }
}

function prompter(answer: boolean | undefined | KeytoolError): Prompter & { asked: number } {
  const give = async <T>(value: T): Promise<T> => {
    self.asked++
    if (answer instanceof KeytoolError) throw answer
    return value
  }
  const self = {
    name: 'test',
    asked: 0,
    confirm: () => give(answer as boolean | undefined),
    passphrase: () => give(answer === undefined ? undefined : Buffer.from('pw')),
  }
  return self
}

/** Prompts that stand open until the test answers them. */
function openPrompts(most?: number) {
  const open: { text: string; answer(yes: boolean): void }[] = []
  const prompts = createPrompts(
    [
      {
        name: 'test',
        confirm: (text, signal) =>
          new Promise((resolve, reject) => {
            const entry = { text, answer: (yes: boolean) => finish(() => resolve(yes)) }
            const finish = (end: () => void) => {
              open.splice(open.indexOf(entry), 1)
              end()
            }
            signal.addEventListener('abort', () => finish(() => reject(new KeytoolError('cancelled', 'gone'))))
            open.push(entry)
          }),
        passphrase: async () => undefined,
      },
    ],
    most === undefined ? {} : { most },
  )
  const texts = () => open.map(({ text }) => text)
  async function answer(text: string, yes = true): Promise<void> {
    open.find(each => each.text === text)?.answer(yes)
    await new Promise(setImmediate)
  }
  return { prompts, texts, answer }
}

test('the first that can ask is used, and no other', async () => {
  const [cannot, can, spare] = [prompter(undefined), prompter(true), prompter(false)]
  const prompts = createPrompts([cannot, can, spare])
  expect(await prompts.confirm(caller(1), 'ok?', never)).toBe(true)
  expect((await prompts.passphrase(caller(1), 'pw', never)).toString()).toBe('pw')
  expect([cannot.asked, can.asked, spare.asked]).toEqual([2, 2, 0])
})

test('no is an answer: nobody else is asked', async () => {
  const spare = prompter(true)
  expect(await createPrompts([prompter(false), spare]).confirm(caller(1), 'ok?', never)).toBe(false)
  const cancelled = new KeytoolError('cancelled', 'stopped')
  await expect(createPrompts([prompter(cancelled), spare]).passphrase(caller(1), 'pw', never)).rejects.toBe(cancelled)
  expect(spare.asked).toBe(0)
})

test('one that does not work leaves it to the next; where there is none, its trouble is told', async () => {
  const broken = prompter(new KeytoolError('failed', 'the askpass program x does not work', { reason: 'ENOENT' }))
  expect(await createPrompts([broken, prompter(true)]).confirm(caller(1), 'ok?', never)).toBe(true)
  await expect(createPrompts([broken]).confirm(caller(1), 'ok?', never)).rejects.toMatchObject({
    code: 'refused',
    message: 'nobody can be asked',
    reason: 'the askpass program x does not work: ENOENT',
  })
})

test('nobody to ask is refused, with what to do', async () => {
  for (const prompters of [[], [prompter(undefined)]]) {
    await expect(createPrompts(prompters).passphrase(caller(1), 'pw', never)).rejects.toMatchObject({
      code: 'refused',
      message: 'nobody can be asked',
      hint: expect.stringMatching(/SSH_ASKPASS.*keytool unlock/),
    })
  }
})

test('a few stand open at a time, one of each asker; who floods waits for themselves', async () => {
  const { prompts, texts, answer } = openPrompts()
  const all: Promise<boolean>[] = []
  const ask = (by: Caller, text: string) => all.push(prompts.confirm(by, text, never))
  for (let i = 0; i < 50; i++) ask(caller(1), `flood ${i}`)
  expect(texts()).toEqual(['flood 0'])
  for (const pid of [2, 3, 4, 5, 6]) ask(caller(pid), `of ${pid}`)
  expect(texts()).toEqual(['flood 0', 'of 2', 'of 3', 'of 4'])
  await answer('of 3')
  expect(texts()).toEqual(['flood 0', 'of 2', 'of 4', 'of 5'])
  // The flood's own next question stands behind those who came before it was answered.
  await answer('flood 0')
  expect(texts().sort()).toEqual(['flood 1', 'of 2', 'of 4', 'of 5'])
  await answer('flood 1')
  expect(texts().sort()).toEqual(['of 2', 'of 4', 'of 5', 'of 6'])
  for (const text of ['of 2', 'of 4', 'of 5', 'of 6']) await answer(text)
  for (let i = 2; i < 50; i++) {
    expect(texts()).toEqual([`flood ${i}`])
    await answer(`flood ${i}`)
  }
  expect(await Promise.all(all)).toEqual(new Array(55).fill(true))
})

test('processes of one program are one asker', async () => {
  const { prompts, texts, answer } = openPrompts()
  const all = [21, 22, 23].map(pid => prompts.confirm(caller(pid, 20), `of ${pid}`, never))
  expect(texts()).toEqual(['of 21'])
  for (const pid of [21, 22, 23]) await answer(`of ${pid}`)
  expect(await Promise.all(all)).toEqual([true, true, true])
})

test('who leaves the line is not asked for, and makes room where a prompt stood', async () => {
  const { prompts, texts } = openPrompts(1)
  const [open, waiting] = [new AbortController(), new AbortController()]
  const first = prompts.confirm(caller(1), 'first', open.signal)
  const second = prompts.confirm(caller(2), 'second', waiting.signal)
  const third = prompts.confirm(caller(3), 'third', never)
  waiting.abort()
  await expect(second).rejects.toMatchObject({ code: 'cancelled' })
  open.abort()
  await expect(first).rejects.toMatchObject({ code: 'cancelled' })
  await new Promise(setImmediate)
  expect(texts()).toEqual(['third'])
  await expect(prompts.confirm(caller(4), 'late', AbortSignal.abort())).rejects.toMatchObject({ code: 'cancelled' })
  expect(await Promise.race([third, 'still asked'])).toBe('still asked')
})
