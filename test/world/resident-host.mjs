// Runs the built program many times in one process: what `resident.ts` starts. A line of the program starts from nothing
// each time (its files are evaluated anew, with a `process` of their own), but node itself, and the heavy libraries the
// program loads, are there already. One line at a time: the working folder and the environment are this process's own.
import { EventEmitter } from 'node:events'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { PassThrough, Writable } from 'node:stream'
import { Script } from 'node:vm'

/** Compiled once, by path: node keeps no more of a file than that between two runs of it either. */
const scripts = new Map()

function compile(path) {
  const known = scripts.get(path)
  if (known) return known
  const text = readFileSync(path, 'utf8').replace(/^#!.*/, '')
  const parameters = 'exports, require, module, __filename, __dirname, process'
  const script = new Script(`(function (${parameters}) {${text}\n})`, { filename: path })
  scripts.set(path, script)
  return script
}

/** A file of ours and those it loads, with this `process` in place of node's. */
function makeLoader(itsProcess) {
  const modules = new Map()
  return function load(path) {
    const known = modules.get(path)
    if (known) return known.exports
    const module = { exports: {} }
    modules.set(path, module)
    const outside = createRequire(path)
    const require = name => {
      if (name === 'process' || name === 'node:process') return itsProcess
      // Libraries, ours or not, are loaded once; what is ours beside the program, each time.
      return /^\.\/[^/]+$/.test(name) ? load(join(dirname(path), name)) : outside(name)
    }
    compile(path).runInThisContext()(module.exports, require, module, path, dirname(path), itsProcess)
    return module.exports
  }
}

/** The run that goes on, if one does. */
let current

/** Where the program stops that calls `process.exit`. */
const STOP = Symbol('process.exit')

class Collector extends Writable {
  chunks = []

  _write(chunk, _encoding, done) {
    this.chunks.push(chunk)
    done()
  }

  get text() {
    return Buffer.concat(this.chunks).toString('utf8')
  }
}

/** @param {{ program: string, args: string[], env: Record<string, string>, cwd?: string, input?: string }} line input in base64 */
function run({ program, args, env, cwd, input }) {
  return new Promise(resolve => {
    for (const name of Object.keys(process.env)) delete process.env[name]
    Object.assign(process.env, env)
    process.chdir(cwd ?? home)
    const [stdout, stderr, stdin] = [new Collector(), new Collector(), new PassThrough()]
    stdin.end(Buffer.from(input ?? '', 'base64'))

    const events = new EventEmitter()
    let status
    const finish = code => {
      if (current !== events) return
      status = code
      events.emit('exit', status)
      current = undefined
      resolve({ status, signal: null, stdout: stdout.text, stderr: stderr.text })
    }
    const own = {
      argv: [process.execPath, program, ...args],
      stdin,
      stdout,
      stderr,
      exit(code = status ?? 0) {
        finish(code)
        throw STOP
      },
    }
    const itsProcess = Object.create(process)
    for (const [name, value] of Object.entries(own)) Object.defineProperty(itsProcess, name, { value, writable: true })
    for (const name of listening) {
      Object.defineProperty(itsProcess, name, { value: events[name].bind(events), writable: true })
    }
    // The program sets it when all is done: what is written by then is all there is.
    Object.defineProperty(itsProcess, 'exitCode', {
      get: () => status,
      set(code) {
        status = code
        if (current === events) setImmediate(() => finish(status))
      },
    })
    current = events
    makeLoader(itsProcess)(program)
  })
}

const listening = [
  'on',
  'once',
  'off',
  'addListener',
  'prependListener',
  'removeListener',
  'removeAllListeners',
  'emit',
  'listenerCount',
  'listeners',
]

const home = process.cwd()

process.on('uncaughtException', error => {
  if (error === STOP) return
  // The program's own listener ends the run; without one this process is of no use any more.
  if (current?.listenerCount('uncaughtException')) {
    try {
      current.emit('uncaughtException', error)
    } catch (thrown) {
      if (thrown !== STOP) throw thrown
    }
    return
  }
  process.stderr.write(`${error.stack}\n`)
  process.exit(70)
})

process.on('message', async line => process.send(await run(line)))
process.on('disconnect', () => process.exit(0))
