import { programName } from './context.js'
import { main } from './main.js'

/** Set when what was asked for could not be written. */
let lost = false

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  // A reader that goes away (`keytool list | head -1`) has what it wanted. Everything else, a full disk say, is a failure.
  if (error.code === 'EPIPE' || lost) return
  lost = true
  process.stderr.write(`${programName()}: the output can't be written: ${error.code}\n`)
})
// Nobody is left to be told.
process.stderr.on('error', () => {})

// A mistake in here, not the user's. node would show the line it happened on: all of the bundle.
process.on('uncaughtException', error => {
  process.stderr.write(
    `${programName()}: unexpected: ${error.message}\n  please report this, with the command you ran\n`,
  )
  process.exit(1)
})

// The bundle is CommonJS, where __filename is this very file, links resolved.
main(process.argv.slice(2), __filename).then(status => {
  process.exitCode = status
})

process.on('exit', () => {
  if (lost) process.exitCode ||= 1
})
