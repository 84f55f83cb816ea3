import { Worker } from 'node:worker_threads';

/**
 * Kills this process when the lease runs out while the event loop stands still, so that no write that was begun before can be sent after it. A thread of its own,
 * because a timer of the main thread would come after the stall, and perhaps after the write.
 */
export interface LeaseWatchdog {
  /** For `onHeldFor` of the lease. Undefined: nothing is held, nothing is killed. */
  heldFor(heldForMs: number | undefined): void;
  stop(): Promise<void>;
}

export function startLeaseWatchdog(options: {
  /** After the end of what is held for sure: the process's own way out comes first. At most half of what is left until others may take over. */
  readonly graceMs: number;
}): LeaseWatchdog {
  const deadline = new BigInt64Array(new SharedArrayBuffer(8));
  const worker = new Worker(thread, { eval: true, workerData: deadline, resourceLimits: { maxOldGenerationSizeMb: 8 } });
  worker.unref();
  return {
    heldFor(heldForMs) {
      const atNs =
        heldForMs === undefined ? 0n : process.hrtime.bigint() + BigInt(Math.ceil((heldForMs + options.graceMs) * 1e6));
      Atomics.store(deadline, 0, atNs);
    },
    async stop() {
      await worker.terminate();
    },
  };
}

/** Plain JavaScript in a string: the same whether the sources run unbuilt or built. `process.exit` would end the thread alone. */
const thread = `
const { workerData: deadline } = require('node:worker_threads');
const { writeSync } = require('node:fs');
setInterval(() => {
  const atNs = Atomics.load(deadline, 0);
  if (atNs !== 0n && process.hrtime.bigint() > atNs) {
    writeSync(2, 'the event loop stood still until the leader lease ran out: this process is killed so that it cannot act\\n');
    process.kill(process.pid, 'SIGKILL');
  }
}, 50);
`;
