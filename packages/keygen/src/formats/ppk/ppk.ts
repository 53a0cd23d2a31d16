export { ppk1 } from './ppk1.js'
export { ppk2 } from './ppk2.js'
export { ppk3 } from './ppk3.js'
