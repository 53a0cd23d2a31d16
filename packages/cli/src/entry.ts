import { main } from './main.js'

// A reader that goes away (`keytool list | head -1`) is no error of ours; what else was to be written no longer matters.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
    process.exitCode ??= 0
  })
}

// The bundle is CommonJS, where __filename is this very file, links resolved.
main(process.argv.slice(2), __filename).then(status => {
  process.exitCode = status
})
