/** A jest reporter that ends the output with one line a script can read: `N passed, N failed`. */
export default class ClosingLine {
  onRunComplete(_contexts, results) {
    // A suite that could not even be loaded ran no test; it counts as one failure.
    const failed = results.numFailedTests + results.numRuntimeErrorTestSuites
    const skipped = results.numPendingTests > 0 ? `, ${results.numPendingTests} skipped` : ''
    // jest prints its own summary after the reporters have run.
    process.once('exit', () => console.log(`${results.numPassedTests} passed, ${failed} failed${skipped}`))
  }
}
