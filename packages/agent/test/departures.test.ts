import { Departures } from '../src/ring/departures.js'

const key = (name: string) => ({ identity: { blob: Buffer.from(name), comment: '' } })
const blob = (name: string) => Buffer.from(name)

test('a key that is not held any more has gone, the last time counts', () => {
  const departures = new Departures()
  const [one, two] = [key('one'), key('two')]
  departures.note([one, two], 1)
  expect([departures.last(blob('one')), departures.last(blob('three'))]).toEqual([undefined, undefined])
  departures.note([two], 2)
  departures.note([two], 3)
  expect([departures.last(blob('one')), departures.last(blob('two'))]).toEqual([2, undefined])
  departures.note([two, key('one')], 4)
  departures.note([], 5)
  expect([departures.last(blob('one')), departures.last(blob('two'))]).toEqual([5, 5])
})

test('one that another takes the place of has not', () => {
  const departures = new Departures()
  departures.note([key('one')], 1)
  departures.note([key('one')], 2)
  expect(departures.last(blob('one'))).toBeUndefined()
})

test('of very many the oldest are forgotten', () => {
  const departures = new Departures()
  for (let i = 0; i < 1001; i++) {
    departures.note([key(`${i}`)], i)
    departures.note([], i)
  }
  expect([departures.last(blob('0')), departures.last(blob('1')), departures.last(blob('1000'))]).toEqual([
    undefined,
    1,
    1000,
  ])
})
