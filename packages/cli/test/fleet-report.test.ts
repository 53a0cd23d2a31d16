import { Board } from '../src/fleet/board.js'
import { lineForRest } from '../src/fleet/line-for-rest.js'
import { type HostOutcome, noteMember, noteOption } from '../src/fleet/member.js'
import { reportOutcomes } from '../src/fleet/report.js'
import { makeMember, makeStage } from './fleet-fixture.js'

// What is said of many hosts: the table, the line for the rest, how far it is.

const outcome = (host: string, code: number, detail = 'as it is'): HostOutcome => ({
  ...{ host, user: 'hana', state: code === 0 ? 'added' : 'failed', code, detail },
})

test('the columns line up, whatever the hosts are called, and the worst status is the largest', () => {
  const { context, out } = makeStage()
  const outcomes = [outcome('web1', 0), outcome('longer.example', 7, 'no answer'), outcome('日本', 8, 'unknown')]
  expect(reportOutcomes(outcomes, ['install-pubkey', 'web1', 'longer.example', '日本'], context)).toBe(8)
  expect(out()).toBe(
    'web1            ok     as it is\n' +
      'longer.example  failed no answer\n' +
      '日本            failed unknown\n' +
      "1 of 3 hosts done. Again for the rest:\n  keytool install-pubkey longer.example '日本'\n",
  )
})

test('a host whose name would act on a terminal does not', () => {
  const { context, out } = makeStage()
  reportOutcomes([outcome('\u001b]0;pwned\u0007', 0), outcome('b', 0)], ['audit'], context)
  expect(out()).toBe('\\u{1b}]0;pwned\\u{7}  ok as it is\nb                    ok as it is\n')
})

test('of one host alone the error that was said is not said again', () => {
  const { context, out } = makeStage()
  expect(reportOutcomes([outcome('web1', 7, 'no answer')], ['audit', 'web1'], context)).toBe(7)
  expect(out()).toBe('web1  failed\n')
})

test('with --json there is one value, and no word beside it', () => {
  const { context, out } = makeStage()
  context.say.configure({ json: true })
  const outcomes = [outcome('web1', 0), outcome('web2', 5)]
  expect(reportOutcomes(outcomes, ['audit'], context)).toBe(5)
  expect(JSON.parse(out())).toEqual(outcomes)
})

describe('the line for the rest', () => {
  const flags = [
    ['-l, --login <user>', ''],
    ['--hosts <file>', ''],
    ['--dry-run', ''],
    ['--github [url]', ''],
  ] as const
  const ends = [outcome('web1', 0), outcome('web2', 7)]

  test.each([
    ['web1 web2', 'web2'],
    // Each of these has an option whose value is called like a host that is done.
    ['-l web1 web1 web2', '-l web1 web2'],
    ['--login=web1 web1 web2', '--login=web1 web2'],
    ['-lweb1 web2 web1', '-lweb1 web2'],
    ['web1 -l web1 web2', '-l web1 web2'],
    ['--dry-run web1 web2', '--dry-run web2'],
    ['--dry-run -- web1 web2', '--dry-run web2'],
    // What is not known may take a value.
    ['--unknown web1 web2', '--unknown web1 web2'],
    ['--hosts list web1', 'web2'],
    ['--hosts=list', 'web2'],
    ['--json -q web1 web2 --no-color', '--json -q --no-color web2'],
    // What may take a value, and has none, must not take a host for it.
    ['web1 web2 --github', '--github -- web2'],
    ['--github --dry-run web1 web2', '--github --dry-run web2'],
    ['--github https://git.example web1 web2', '--github https://git.example web2'],
  ])('%s: %s', (line, rest) => {
    expect(lineForRest(['x', ...line.split(' ')], ends, flags).join(' ')).toBe(`x ${rest}`)
  })

  test('what begins like an option stays a word', () => {
    expect(lineForRest(['x', '--', '-a', 'web1'], [outcome('-a', 7), outcome('web1', 0)], flags)).toEqual([
      'x',
      '--',
      '-a',
    ])
  })

  test('a host of a file is named as it can be typed; where it can not, the file is named again, without the others', () => {
    const [typed, untyped] = [outcome('one', 7), outcome('two', 7)]
    noteMember(typed, makeMember('one', { typed: 'ssh://hana@192.0.2.1:229' }))
    const line = ['x', '--hosts', 'list', 'web1']
    expect(lineForRest(line, [typed, outcome('web1', 0)], flags)).toEqual(['x', 'ssh://hana@192.0.2.1:229'])
    noteMember(untyped, makeMember('two', { typed: undefined }))
    expect(lineForRest(line, [typed, untyped, outcome('web1', 0)], flags)).toEqual(['x', '--hosts', 'list'])
  })

  test('what an option names is no host word', () => {
    const site = outcome('github.com', 5)
    noteOption(site)
    expect(lineForRest(['x', '--github', '--', 'web1', 'web2'], [site, ...ends], flags)).toEqual([
      'x',
      '--github',
      '--',
      'web2',
    ])
  })
})

test('how far it is: those that take longest by name, the others counted', () => {
  const board = new Board(20, makeStage().context.say)
  for (let i = 0; i < 12; i++) board.begin(`web${i}`)
  board.note('web2', 'verifying')
  board.note('gone', 'nothing')
  board.end('web0', true)
  board.end('web1', false)
  const lines = board.lines(performance.now() + 3_000)
  board.close()
  expect(lines).toEqual([
    '2 of 20 hosts done, 1 failed, 8 waiting  3 s',
    '  web2  verifying  3 s',
    ...[3, 4, 5, 6, 7, 8, 9].map(i => `  web${i}    3 s`),
    '  and 2 more',
  ])
})
