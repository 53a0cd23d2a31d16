// RSA: the time is luck's (how many candidates until a prime), so means, with their standard errors, of keys in turns.
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { generate } from '@keytool/keygen'

/** Keys of 4096 bits each contestant makes. */
const KEYS = 8
/** Keys of 3072 bits in one run, and runs. */
const TOGETHER = 4
const RUNS = 2
/** The program and its arguments so many times at once, the last argument being a name with a number. */
const atOnce = `for i in $(seq ${TOGETHER}); do "$@-$i" & done; wait`

export async function measureRsa(world) {
  let files = 0
  const path = () => join(world.home, `rsa-${files++}`)
  const gen = (...args) => world.keytool(['gen', '-t', 'rsa', '--no-passphrase', ...args])
  const took = await takeTurns(KEYS, {
    ours: () => world.time(...gen('-b', '4096', '-f', path())),
    library: () => time(() => generate('rsa', { bits: 4096 })),
    openssh: () => world.time('ssh-keygen', ['-q', '-t', 'rsa', '-b', '4096', '-N', '', '-f', path()]),
    node: () => world.time(process.execPath, ['-e', '0']),
  })
  const cores = await takeTurns(RUNS, {
    together: () => coresBusy(world, '"$@"', gen('--count', String(TOGETHER), '-b', '3072', '-f', `${path()}-%d`)),
    processes: () =>
      coresBusy(world, atOnce, ['ssh-keygen', ['-q', '-t', 'rsa', '-b', '3072', '-N', '', '-f', path()]]),
  })
  const { ours, library, openssh, node, together, processes } = { ...took, ...cores }
  const peer = `${show(openssh)} ms`
  const row = (what, contestant) => ({ what, ours: `${show(contestant)} ms`, peer, ...compare(contestant, openssh) })
  return [
    { ...row('RSA 4096, mean of gen, start-up included', ours) },
    {
      ...row('RSA 4096, the same without node -e 0', { ...ours, mean: ours.mean - node.mean }),
      wanted: '<= 1.1x',
      note: `± is the standard error of ${KEYS} keys each`,
    },
    { ...row('RSA 4096, mean of the library', library), wanted: '<= 1.1x' },
    {
      what: `cores that ${TOGETHER} RSA 3072 keys keep busy`,
      ours: show(together, 2),
      peer: show(processes, 2),
      ...compare(together, processes),
      wanted: 'towards 1x',
      note: `gen --count ${TOGETHER} beside ${TOGETHER} ssh-keygens at once; on an idle machine up to ${availableParallelism()}`,
    },
  ]
}

/** Every contestant's measures, in turns: their mean and its standard error. */
async function takeTurns(rounds, contestants) {
  const values = Object.fromEntries(Object.keys(contestants).map(name => [name, []]))
  for (let round = 0; round < rounds; round++) {
    for (const [name, measure] of Object.entries(contestants)) values[name].push(await measure())
  }
  return Object.fromEntries(Object.entries(values).map(([name, list]) => [name, meanOf(list)]))
}

function meanOf(values) {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1)
  return { mean, error: Math.sqrt(variance / values.length) }
}

function compare(a, b) {
  const quotient = a.mean / b.mean
  const error = quotient * Math.hypot(a.error / a.mean, b.error / b.mean)
  return { measured: `${quotient.toFixed(2)} ± ${error.toFixed(2)}x` }
}

function show({ mean, error }, decimals = 0) {
  return `${mean.toFixed(decimals)} ± ${error.toFixed(decimals)}`
}

async function time(work) {
  const began = performance.now()
  await work()
  return performance.now() - began
}

/** Runs a shell's line; returns its CPU time divided by the time that passed. `times` counts the shell's children. */
function coresBusy(world, line, [program, args]) {
  const began = performance.now()
  const times = world.run('/bin/sh', ['-c', `{ ${line}; } >/dev/null && times`, 'sh', program, ...args])
  const passed = (performance.now() - began) / 1000
  const children = times.trim().split('\n').at(-1).split(' ')
  const seconds = children.map(text => text.match(/^(\d+)m([\d.]+)s$/)).map(([, m, s]) => 60 * Number(m) + Number(s))
  return seconds.reduce((sum, value) => sum + value, 0) / passed
}
