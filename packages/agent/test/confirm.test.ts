import { generate, KeytoolError } from '@keytool/keygen'
import { createConfirm } from '../src/gates/confirm.js'
import type { Use } from '../src/gates/gate.js'
import type { Terms } from '../src/terms.js'
import { createPrompts } from '../src/unlock/chain.js'

const by = { peer: { programs: [{ pid: 4242, name: 'git' }] }, binding: { hops: [], failed: false } }
const identity = { blob: (await generate('ed25519')).publicKey.blob, comment: 'id_work' }
const names = () => []

function sign(terms: Terms = { confirm: true }, signal?: AbortSignal): Use {
  return { action: 'sign', key: { identity, terms }, by, purpose: { kind: 'unknown' }, ...(signal && { signal }) }
}

function gateThat(answer: (text: string, signal: AbortSignal) => Promise<boolean>) {
  const texts: string[] = []
  const gate = createConfirm({
    names,
    prompts: {
      confirm(_by, text, signal) {
        texts.push(text)
        return answer(text, signal)
      },
    },
  })
  return { gate, texts }
}

const message = 'the use of id_work was not confirmed'

test('yes lets it through; the question says who wants what', async () => {
  const { gate, texts } = gateThat(async () => true)
  await expect(gate.pass(sign())).resolves.toBeUndefined()
  expect(texts).toHaveLength(1)
  expect(texts[0]).toMatch(/^git \(pid 4242\) wants id_work to sign .*\nkey SHA256:\S+\nAllow this signature\?$/)
})

test('no refuses', async () => {
  const { gate } = gateThat(async () => false)
  await expect(gate.pass(sign())).rejects.toMatchObject({ code: 'refused', message, reason: 'the user said no' })
})

test('whatever is no answer refuses, with its reason', async () => {
  const troubles: [unknown, string][] = [
    [new KeytoolError('cancelled', 'nobody answered within 2 min'), 'nobody answered within 2 min'],
    [new KeytoolError('cancelled', 'stopped at the prompt'), 'stopped at the prompt'],
    [new KeytoolError('refused', 'nobody can be asked', { reason: 'no display' }), 'nobody can be asked: no display'],
    [new TypeError('oh'), 'asking the user went wrong'],
  ]
  for (const [error, reason] of troubles) {
    const { gate } = gateThat(() => Promise.reject(error))
    await expect(gate.pass(sign())).rejects.toMatchObject({ code: 'refused', message, reason })
  }
})

test('where nobody can be asked, it is refused and says what to do', async () => {
  const gate = createConfirm({ names, prompts: createPrompts([]) })
  await expect(gate.pass(sign())).rejects.toMatchObject({
    code: 'refused',
    message,
    reason: expect.stringMatching(/^nobody can be asked: /),
    hint: expect.stringMatching(/SSH_ASKPASS/),
  })
})

test('a client that leaves withdraws its question', async () => {
  const leaver = new AbortController()
  const { gate } = gateThat(
    (_, signal) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(new KeytoolError('cancelled', 'gone')))
        leaver.abort()
      }),
  )
  await expect(gate.pass(sign({ confirm: true }, leaver.signal))).rejects.toMatchObject({
    code: 'refused',
    reason: 'gone',
  })
})

test('keys that are not held so, and other uses, pass at once and unasked', () => {
  const { gate, texts } = gateThat(async () => false)
  const key = { identity, terms: { confirm: true } }
  const others: Use[] = [
    sign({}),
    sign({ confirm: false }),
    { action: 'add', key, by },
    { action: 'remove', key, by },
    { action: 'remove-all', by },
    { action: 'unseal', key, by },
  ]
  expect(others.map(use => gate.pass(use))).toEqual(others.map(() => undefined))
  expect(texts).toEqual([])
})

test('the policy may want it for a key that was added without', async () => {
  const gate = createConfirm({
    names,
    prompts: { confirm: async () => false },
    mustConfirm: ({ identity: { comment } }) => comment === 'id_work',
  })
  await expect(gate.pass(sign({}))).rejects.toMatchObject({ code: 'refused' })
})
