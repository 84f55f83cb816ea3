import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { eventually } from './eventually.ts';

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

interface LogLine {
  readonly msg: string;
  readonly level: number;
  readonly port?: number;
}

/** `flinkjob-operator` as it is started by a person or a pod, seen by its log, its exit code and its HTTP. */
export class OperatorProcess {
  readonly #child: ChildProcess;
  readonly log: LogLine[] = [];
  errors = '';

  constructor(
    args: readonly string[],
    options: { readonly environment?: Readonly<Record<string, string>>; readonly nodeArgs?: readonly string[] } = {},
  ) {
    this.#child = spawn(process.execPath, [...(options.nodeArgs ?? []), main, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...options.environment },
    });
    const { stdout, stderr } = this.#child;
    if (stdout === null || stderr === null) {
      throw new Error('the operator has no output');
    }
    createInterface({ input: stdout }).on('line', (line) => this.log.push(parseLine(line)));
    stderr.on('data', (part) => {
      this.errors += part;
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get text(): string {
    return `${this.log.map((line) => JSON.stringify(line)).join('\n')}\n${this.errors}`;
  }

  has(message: string): boolean {
    return this.log.some(({ msg }) => msg === message);
  }

  /** Fails at once when it has ended; the limit is for a hang. */
  async said(message: string, limitMs?: number): Promise<void> {
    const look = (): boolean => {
      if (this.#child.exitCode !== null && !this.has(message)) {
        throw new Error(`the operator ended with ${this.#child.exitCode} before it said "${message}":\n${this.text}`);
      }
      return this.has(message);
    };
    await eventually(`"${message}" in the log`, look, limitMs);
  }

  /** Of its probes: status and text. */
  async ask(path: string): Promise<readonly [number, string]> {
    const port = this.log.find(({ msg }) => msg === 'probes and metrics are served')?.port;
    const response = await fetch(`http://127.0.0.1:${port}${path}`);
    return [response.status, await response.text()];
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** The exit code, or the signal that has ended it. */
  async ended(): Promise<number | NodeJS.Signals | null> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      await once(this.#child, 'close');
    }
    return this.#child.exitCode ?? this.#child.signalCode;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.ended();
  }
}

function parseLine(line: string): LogLine {
  try {
    return JSON.parse(line) as LogLine;
  } catch {
    // Help is text.
    return { msg: line, level: 0 };
  }
}
