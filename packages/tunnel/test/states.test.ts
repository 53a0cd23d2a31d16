import { KeytoolError } from '@keytool/keygen'
import { type Move, StateMachine, type StateName, type TunnelState } from '../src/supervisor/states.js'

const error = new KeytoolError('unreachable', 'away')
const moves: Readonly<Record<Move['name'], Move>> = {
  connecting: { name: 'connecting' },
  up: { name: 'up' },
  waiting: { name: 'waiting', until: 9, error },
  stopped: { name: 'stopped' },
}
/** How each state is reached. */
const ways: Readonly<Record<StateName, readonly Move[]>> = {
  idle: [],
  connecting: [moves.connecting],
  up: [moves.connecting, moves.up],
  waiting: [moves.connecting, moves.waiting],
  stopped: [moves.stopped],
}
const allowed = [
  'idle connecting',
  'idle stopped',
  'connecting up',
  'connecting waiting',
  'connecting stopped',
  'up waiting',
  'up stopped',
  'waiting connecting',
  'waiting stopped',
]
const pairs = Object.keys(ways).flatMap(from => Object.keys(moves).map(to => `${from} ${to}`))

function machineIn(from: StateName) {
  const told: [TunnelState, StateName][] = []
  let time = 0
  const machine = new StateMachine(
    () => ++time,
    (state, before) => told.push([state, before]),
  )
  for (const move of ways[from]) machine.moveTo(move)
  return { machine, told }
}

test.each(pairs.filter(pair => allowed.includes(pair)))('may go: %s', pair => {
  const [from, to] = pair.split(' ') as [StateName, Move['name']]
  const { machine, told } = machineIn(from)
  machine.moveTo(moves[to])
  expect(machine.state).toEqual({ ...moves[to], since: ways[from].length + 2 })
  expect(told.at(-1)).toEqual([machine.state, from])
})

test.each(pairs.filter(pair => !allowed.includes(pair)))('may not go: %s', pair => {
  const [from, to] = pair.split(' ') as [StateName, Move['name']]
  const { machine, told } = machineIn(from)
  const before = machine.state
  expect(() => machine.moveTo(moves[to])).toThrow(`from ${from} to ${to}`)
  expect(machine.state).toBe(before)
  expect(told).toHaveLength(ways[from].length)
})

test('every state has its way, and pairs are all there are', () => {
  for (const name of Object.keys(ways)) expect(machineIn(name as StateName).machine.state.name).toBe(name)
  expect(pairs).toHaveLength(20)
})
