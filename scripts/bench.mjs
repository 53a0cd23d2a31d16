// Measures this build beside the programs it wants to replace: in one run, in turns, on one machine. Read the ratios, not
// the figures. `npm run bench` runs all groups, `npm run bench -- agent tunnel` some. Nothing is asserted.
import { availableParallelism, loadavg } from 'node:os'
import { printTable } from './bench/measure.mjs'
import { makeWorld } from './bench/world.mjs'

/** Each group's file exports `title` and `measure(world)`, which returns rows for the table. */
const groups = {
  'start-up': () => import('./bench/start-up.mjs'),
  agent: () => import('./bench/agent.mjs'),
  login: () => import('./bench/login.mjs'),
  bcrypt: () => import('./bench/bcrypt.mjs'),
  keygen: () => import('./bench/keygen.mjs'),
  convert: () => import('./bench/convert.mjs'),
  tunnel: () => import('./bench/tunnel.mjs'),
  install: () => import('./bench/install.mjs'),
}

const wanted = process.argv.slice(2)
const unknown = wanted.filter(name => !Object.hasOwn(groups, name))
if (unknown.length > 0) {
  console.error(`no group ${unknown.join(', ')}; there are ${Object.keys(groups).join(', ')}`)
  process.exitCode = 2
} else {
  const world = await makeWorld()
  // Who reads the figures must know whether the machine was theirs alone.
  const load = loadavg()[0]?.toFixed(1)
  console.log(`node ${process.version}, ${availableParallelism()} cores, load average ${load} before the first round`)
  try {
    for (const name of wanted.length > 0 ? wanted : Object.keys(groups)) {
      const { title, measure } = await groups[name]()
      console.log(`\n${name}: ${title}`)
      const missing = world.missingFor(name)
      if (missing.length > 0) console.log(`  left out: ${missing.join(', ')} not installed`)
      else printTable(await measure(world))
    }
  } finally {
    await world.dispose()
  }
}
