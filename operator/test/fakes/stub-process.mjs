// A process of a FlinkJob for tests of the process platform: `stub-process.mjs ROLE CONFIG`. The configuration's `behaviour` is `run`,
// `deaf` (does not end when asked), `exit N`, `crash`, or for a plan or purge the JSON to print.
import { readFileSync, renameSync, writeFileSync } from 'node:fs';

const [, , role, configPath] = process.argv;
const { behaviour, podUid, addressFile, taskManagerId } = JSON.parse(readFileSync(configPath, 'utf8'));

console.error(`${role} ${podUid ?? taskManagerId ?? ''} begins in ${process.cwd()}`);
if (behaviour.startsWith('exit ')) {
  console.error('error: the port is taken [PortInUse]\n  Choose another port.');
  process.exit(Number(behaviour.slice('exit '.length)));
}
if (role === 'plan' || role === 'purge') {
  process.stdout.write(behaviour);
  process.exit(0);
}
if (behaviour === 'deaf') {
  process.on('SIGTERM', () => undefined);
}
if (addressFile !== undefined) {
  writeFileSync(
    `${addressFile}.tmp`,
    JSON.stringify({ rest: `127.0.0.1:${process.pid}`, rpc: '127.0.0.1:1', pid: process.pid, podUid, epoch: 1 }),
  );
  renameSync(`${addressFile}.tmp`, addressFile);
}
// Ends by itself should a test have lost it.
setTimeout(() => process.exit(0), 120_000);
