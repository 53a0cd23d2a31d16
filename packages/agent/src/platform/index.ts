export { makeFolder, readIfThere, readWhole, type WriteOptions, writeWhole } from './files.js'
export { hardenProcess } from './harden.js'
export { type Environment, type Places, places } from './places.js'
export { isRunning } from './running.js'
