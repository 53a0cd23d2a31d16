import { chmod, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isRunning } from '../src/platform/running.js'
import { type AskpassOptions, createAskpass } from '../src/unlock/askpass.js'
import { makeTemporary, until } from './support.js'

const never = new AbortController().signal

/** An askpass program: a shell script in a folder of its own, which is its `$D`. */
async function make(script: string, more: Partial<AskpassOptions> & { env?: NodeJS.ProcessEnv } = {}) {
  const folder = await makeTemporary()
  const program = join(folder, 'ask pass')
  await writeFile(program, `#!/bin/sh\nD='${folder}'\n${script}\n`)
  await chmod(program, 0o700)
  const env = { PATH: process.env['PATH'], DISPLAY: ':9', SSH_ASKPASS: program, ...more.env }
  const askpass = createAskpass({ places: [], ...more, env })
  const read = (name: string) => readFile(join(folder, name), 'utf8')
  return { askpass, program, folder, read }
}

describe('a passphrase', () => {
  test.each([
    ['a line', "printf 'open sesame\\n'", 'open sesame'],
    ['no end of the line', "printf 'open sesame'", 'open sesame'],
    ['another end of the line', "printf 'open sesame\\r\\nmore'", 'open sesame'],
    ['blanks and bytes as they stand', "printf ' \\303\\244\\377 \\n'", Buffer.from(' \xc3\xa4\xff ', 'latin1')],
    ['nothing', 'true', ''],
  ])('%s', async (_, script, expected) => {
    const { askpass } = await make(script)
    expect(await askpass.passphrase('passphrase for x', never)).toEqual(Buffer.from(expected))
  })

  test('the question is one argument, no shell looks at it, and the hint is not set', async () => {
    const { askpass, read } = await make('printf %s "$#|$1|$SSH_ASKPASS_PROMPT" >"$D/seen"; echo pw', {
      env: { SSH_ASKPASS_PROMPT: 'none' },
    })
    await askpass.passphrase('a $(touch x) `id`\n"b" for c', never)
    expect(await read('seen')).toBe('1|a $(touch x) `id`\n"b" for c: |')
  })

  test('a status that is not 0 is a no, whatever was said', async () => {
    const { askpass } = await make('echo pw; exit 1')
    await expect(askpass.passphrase('pw', never)).rejects.toMatchObject({ code: 'cancelled' })
  })

  test('an endless answer ends it', async () => {
    const { askpass, read } = await make('echo $$ >"$D/pid"; yes')
    await expect(askpass.passphrase('pw', never)).rejects.toMatchObject({ code: 'failed' })
    const pid = Number(await read('pid'))
    await until(() => !isRunning(pid))
  })
})

describe('yes or no', () => {
  test.each([
    ['nothing', 'true', true],
    ['an empty line', 'echo', true],
    ['yes', 'echo yes', true],
    ['YES, in any case', 'echo yEs', true],
    ['no', 'echo no', false],
    ['y', 'echo y', false],
    ['yes and more', 'echo yes please', false],
    ['a status that is not 0', 'exit 1', false],
    ['yes, but a status that is not 0', 'echo yes; exit 1', false],
    ['killed', 'kill -9 $$', false],
  ])('%s', async (_, script, expected) => {
    const { askpass } = await make(script)
    expect(await askpass.confirm('ok?', never)).toBe(expected)
  })

  test('the hint says that it is a question', async () => {
    const { askpass, read } = await make('printf %s "$1|$SSH_ASKPASS_PROMPT" >"$D/seen"')
    await askpass.confirm('Allow?', never)
    expect(await read('seen')).toBe('Allow?|confirm')
  })
})

describe('which program', () => {
  const ask = (options: Partial<AskpassOptions>) =>
    make('echo yes', options).then(({ askpass }) => askpass.confirm('ok?', never))

  test.each<[string, NodeJS.ProcessEnv, boolean | undefined]>([
    ['a display', {}, true],
    ['a Wayland display', { DISPLAY: undefined, WAYLAND_DISPLAY: 'wayland-0' }, true],
    ['no display', { DISPLAY: undefined }, undefined],
    ['an empty display', { DISPLAY: '' }, undefined],
    ['no display, prefer', { DISPLAY: '', SSH_ASKPASS_REQUIRE: 'prefer' }, undefined],
    ['no display, force', { DISPLAY: '', SSH_ASKPASS_REQUIRE: 'force' }, true],
    ['no display, FORCE', { DISPLAY: '', SSH_ASKPASS_REQUIRE: 'FORCE' }, true],
    ['never', { SSH_ASKPASS_REQUIRE: 'never' }, undefined],
    ['prefer', { SSH_ASKPASS_REQUIRE: 'prefer' }, true],
    ['none named', { SSH_ASKPASS: undefined }, undefined],
    ['named as nothing', { SSH_ASKPASS: '' }, undefined],
  ])('%s', async (_, env, expected) => {
    expect(await ask({ env })).toBe(expected)
  })

  test('where none is named, the first that is there', async () => {
    const { program, folder } = await make('echo yes')
    const plain = join(folder, 'plain')
    await writeFile(plain, 'no program')
    const env = { DISPLAY: ':9' }
    const places = [join(folder, 'none'), plain, program]
    expect(await createAskpass({ env, places }).confirm('ok?', never)).toBe(true)
    expect(await createAskpass({ env, places: places.slice(0, 1) }).passphrase('pw', never)).toBeUndefined()
    expect(await createAskpass({ env: { ...env, SSH_ASKPASS: '' }, places }).confirm('ok?', never)).toBeUndefined()
  })

  test('one that can not be run is a trouble that names it', async () => {
    const { folder } = await make('true')
    const askpass = createAskpass({ env: { DISPLAY: ':9', SSH_ASKPASS: join(folder, 'none') } })
    await expect(askpass.confirm('ok?', never)).rejects.toMatchObject({
      code: 'failed',
      message: expect.stringMatching(/none does not work$/),
      reason: expect.stringMatching(/ENOENT$/),
    })
  })

  test("it gets the agent's environment without what node heeds", async () => {
    const { askpass, read } = await make('env >"$D/seen"; echo pw', {
      env: { NODE_OPTIONS: '--inspect', NODE_PATH: '/x', LANG: 'C', FOO: 'bar' },
    })
    await askpass.passphrase('pw', never)
    const seen = await read('seen')
    expect(seen).toMatch(/^FOO=bar$/m)
    expect(seen).not.toMatch(/NODE_|SSH_ASKPASS_PROMPT/)
  })
})

describe('an end', () => {
  const SLEEPER = 'sleep 60 & echo $! >"$D/child"; echo $$ >"$D/pid.new"; mv "$D/pid.new" "$D/pid"; wait'

  test('a signal that is aborted ends the program and what it has started', async () => {
    const { askpass, read } = await make(SLEEPER)
    const leaver = new AbortController()
    const answer = askpass.confirm('ok?', leaver.signal)
    answer.catch(() => undefined)
    await until(() => read('pid').then(Boolean, () => false))
    leaver.abort()
    await expect(answer).rejects.toMatchObject({ code: 'cancelled', message: expect.stringMatching(/did not wait/) })
    const pids = [Number(await read('pid')), Number(await read('child'))]
    await until(() => !pids.some(isRunning))
  })

  test('one that does not heed is killed', async () => {
    const { askpass, read } = await make(`trap '' TERM; ${SLEEPER}; wait`)
    const leaver = new AbortController()
    const answer = askpass.passphrase('pw', leaver.signal)
    answer.catch(() => undefined)
    await until(() => read('pid').then(Boolean, () => false))
    leaver.abort()
    await expect(answer).rejects.toMatchObject({ code: 'cancelled' })
    const pid = Number(await read('pid'))
    await until(() => !isRunning(pid))
  })

  test('nobody who answers in time is a no', async () => {
    const { askpass, read } = await make(SLEEPER, { patience: { confirm: 1000, passphrase: 1000 } })
    await expect(askpass.confirm('ok?', never)).rejects.toMatchObject({
      code: 'cancelled',
      message: 'nobody answered within 1 s',
    })
    const pid = Number(await read('pid'))
    await until(() => !isRunning(pid))
  })

  test('who has left already has nothing started', async () => {
    const { askpass, read } = await make('echo >"$D/seen"')
    await expect(askpass.confirm('ok?', AbortSignal.abort())).rejects.toMatchObject({ code: 'cancelled' })
    await expect(read('seen')).rejects.toMatchObject({ code: 'ENOENT' })
  })
})
