import { type ResourceLimits, Worker } from 'node:worker_threads';

/** As it is in the tree, and as it is after compiling. */
const slotThreadModule = import.meta.url.endsWith('.ts')
  ? new URL('./slot-thread-main.ts', import.meta.url)
  : new URL('./slot-thread-main.js', import.meta.url);

/**
 * Threads that have loaded the runtime and wait for what they are to run. Loading takes a thread longer than all the rest of taking over from a lost
 * TaskManager, and has nothing to do with the job; the job's module is loaded by a thread that runs it, and each thread runs one deployment.
 */
export class WarmThreads {
  readonly #limits: ResourceLimits;
  readonly #waiting = new Set<Worker>();

  constructor(limits: ResourceLimits) {
    this.#limits = limits;
  }

  /** So that `count` are waiting; they cost memory, so only while nothing runs. */
  prepare(count: number): void {
    while (this.#waiting.size < count) {
      const worker = this.#start();
      this.#waiting.add(worker);
      // One that dies before it is needed is replaced when it is; whatever it was shows again then.
      worker.once('error', () => this.#waiting.delete(worker));
      worker.once('exit', () => this.#waiting.delete(worker));
    }
  }

  /** It begins with the first message that it gets. */
  take(): Worker {
    const [waiting] = this.#waiting;
    if (waiting === undefined) {
      return this.#start();
    }
    this.#waiting.delete(waiting);
    waiting.removeAllListeners();
    return waiting;
  }

  async discard(): Promise<void> {
    const workers = [...this.#waiting];
    this.#waiting.clear();
    await Promise.all(workers.map((worker) => worker.terminate()));
  }

  #start(): Worker {
    return new Worker(slotThreadModule, { name: 'slots', resourceLimits: this.#limits });
  }
}
