import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';

/** For an orderly end after SIGTERM, before SIGKILL. */
const stopTimeoutMs = 10_000;
const logTailLineCount = 30;

/** Everything started and not ended; what an exit of this process leaves behind is killed. */
const running = new Set<ManagedProcess>();
process.on('exit', () => {
  for (const { pid } of running) {
    kill(pid, 'SIGKILL');
  }
});

export interface ProcessOptions {
  /** For people: `Flink's TaskManager`. */
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly environment: NodeJS.ProcessEnv;
  /** Gets the process's output. */
  readonly logPath: string;
}

/** A process of a benchmark: ended by its pid, whatever happens to the benchmark. */
export class ManagedProcess implements AsyncDisposable {
  readonly pid: number;
  readonly #options: ProcessOptions;
  readonly #exited: Promise<void>;
  #exit: string | undefined;
  #isStopping = false;

  private constructor(options: ProcessOptions, child: ChildProcess, pid: number) {
    this.pid = pid;
    this.#options = options;
    running.add(this);
    this.#exited = new Promise((resolve) => {
      child.once('exit', (code, signal) => {
        this.#exit = code === null ? `signal ${signal}` : `exit code ${code}`;
        running.delete(this);
        resolve();
      });
    });
  }

  static async start(options: ProcessOptions): Promise<ManagedProcess> {
    const log = openSync(options.logPath, 'a');
    try {
      // A process group of its own: Ctrl-C in a terminal ends this process, which then ends that one.
      const child = spawn(options.command, [...options.args], {
        stdio: ['ignore', log, log],
        env: options.environment,
        detached: true,
      });
      // Not unhandled: it is what `spawned` waits for.
      const spawned = new Promise<void>((resolve, reject) => child.once('spawn', resolve).once('error', reject));
      const { pid } = child;
      const managed = pid === undefined ? undefined : new ManagedProcess(options, child, pid);
      await spawned;
      if (managed === undefined) {
        throw new Error(`${options.name} has no process id`);
      }
      return managed;
    } finally {
      closeSync(log);
    }
  }

  /** By itself or because it was told to. */
  get hasEnded(): boolean {
    return this.#exit !== undefined;
  }

  /** Throws, with the end of its log, when the process has ended by itself. */
  assertAlive(): void {
    if (this.#exit !== undefined && !this.#isStopping) {
      const { name, logPath } = this.#options;
      const lines = readFileSync(logPath, 'utf8').trimEnd().split('\n').slice(-logTailLineCount);
      throw new Error(`${name} ended by itself (${this.#exit}); the end of its log:\n  ${lines.join('\n  ')}`);
    }
  }

  /** As a failure of its machine would end it. */
  async kill(): Promise<void> {
    this.#isStopping = true;
    if (this.#exit === undefined) {
      kill(this.pid, 'SIGKILL');
      await this.#exited;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopping = true;
    if (this.#exit !== undefined) {
      return;
    }
    kill(this.pid, 'SIGTERM');
    const timer = setTimeout(() => kill(this.pid, 'SIGKILL'), stopTimeoutMs);
    await this.#exited;
    clearTimeout(timer);
  }
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    // It ended in between.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') {
      throw error;
    }
  }
}
