/** What a benchmark is doing, for whoever waits; standard output is for results. */
export function announce(text: string): void {
  process.stderr.write(`${new Date().toTimeString().slice(0, 8)} ${text}\n`);
}
