import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { globSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { JobStatusDocument } from '@flinkjob/runtime/rest';
import { stringify } from 'yaml';

const cli = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
const jobs = fileURLToPath(new URL('../jobs/', import.meta.url));

/** How often a condition is looked at; the deadline decides whether the test fails, so a slow machine only waits. */
const pollIntervalMs = 100;
/** Generous, because it only matters when something is broken. */
const deadlineMs = 240_000;

interface FlinkJobYaml {
  readonly apiVersion: 'flinkjob.dev/v1alpha1';
  readonly kind: 'FlinkJob';
  readonly metadata: { readonly name: string };
  readonly spec: Record<string, unknown>;
}

export interface FlinkJobView {
  readonly metadata: { readonly name: string; readonly uid: string; readonly generation: number };
  readonly spec: Record<string, unknown>;
  readonly status: {
    readonly state: string;
    readonly observedGeneration?: number;
    readonly attempt?: { readonly number: number };
    readonly jobManagerAddress?: string;
    readonly error?: { readonly code: string; readonly message: string; readonly remedy?: string };
    readonly lastCheckpoint?: { readonly id: number };
    readonly restored?: string;
    readonly rollout?: { readonly state: string };
    readonly revision?: string;
    readonly stable?: { readonly revision: string };
    readonly rolledBack?: { readonly revision: string };
    readonly history?: readonly { readonly reason: string; readonly outcome: string }[];
    readonly conditions: readonly {
      readonly type: string;
      readonly status: string;
      readonly reason: string;
      readonly message: string;
    }[];
  };
}

/**
 * One FlinkJob with its own directories, driven only as a person would: by its YAML, the `flinkjob` command and signals. Everything that was
 * started for it is killed when the test ends.
 */
export class JobUnderTest {
  readonly directory: string;
  readonly file: string;
  readonly workDirectory: string;
  readonly storageDirectory: string;
  readonly outputDirectory: string;
  readonly name = 'subject';
  /** What `dev` and its processes have in their environment beside ours: where an S3 server is. */
  environment: Readonly<Record<string, string>> = {};
  #dev: ChildProcess | undefined;
  #output = '';
  #spec: Record<string, unknown> = {};

  constructor(t: TestContext) {
    this.directory = mkdtempSync(join(tmpdir(), 'flinkjob-e2e-'));
    this.file = join(this.directory, 'job.yaml');
    this.workDirectory = join(this.directory, 'work');
    this.storageDirectory = join(this.directory, 'storage');
    this.outputDirectory = join(this.directory, 'out');
    mkdirSync(this.storageDirectory);
    mkdirSync(this.outputDirectory);
    t.after(() => {
      this.#dev?.kill('SIGKILL');
      for (const process of this.processes()) {
        kill(process.pid, 'SIGKILL');
      }
      rmSync(this.directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
    });
  }

  /** Writes the YAML; `dev` sees it as an apply. `changes` are merged one level deep into what was applied before. */
  edit(changes: Record<string, unknown>): void {
    for (const [field, value] of Object.entries(changes)) {
      const before = this.#spec[field];
      this.#spec[field] = isPlainObject(before) && isPlainObject(value) ? { ...before, ...value } : value;
    }
    const document: FlinkJobYaml = {
      apiVersion: 'flinkjob.dev/v1alpha1',
      kind: 'FlinkJob',
      metadata: { name: this.name },
      spec: this.#spec,
    };
    this.writeYaml(stringify(document));
  }

  writeYaml(text: string): void {
    writeFileSync(this.file, text);
  }

  /** A spec that most tests start from: checkpoints every half second, quick restarts. */
  static spec(job: JobUnderTest, module: string, overrides: Record<string, unknown> = {}): Record<string, unknown> {
    return {
      job: { module: join(jobs, module), args: {}, parallelism: 1 },
      state: { checkpointStorage: `file://${job.storageDirectory}` },
      checkpoints: { intervalSeconds: 0.5 },
      taskManager: { slots: 1 },
      restartStrategy: { type: 'FixedDelay', attempts: 1000, delaySeconds: 0.1 },
      ...overrides,
    };
  }

  /** Starts `flinkjob dev` on the YAML, in plain-line mode because its output is no terminal. */
  dev(...extra: readonly string[]): void {
    assert.equal(this.#dev, undefined, 'dev runs already');
    this.#dev = spawn(process.execPath, [cli, 'dev', this.file, '--work-dir', this.workDirectory, ...extra], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...this.environment, NO_COLOR: '1' },
    });
    for (const stream of [this.#dev.stdout, this.#dev.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#output += text;
      });
    }
  }

  /** Everything that all runs of `dev` printed so far. */
  get output(): string {
    return this.#output;
  }

  /** The lines that print sinks have written, without whatever stands before them. */
  printed(pattern: RegExp): readonly string[] {
    return [...this.#output.matchAll(new RegExp(pattern, 'g'))].map((match) => match[0]);
  }

  /** Sends a signal to `dev` and waits until it is gone; returns its exit code. */
  async endDev(signal: NodeJS.Signals): Promise<number | null> {
    const dev = this.#dev;
    assert(dev !== undefined, 'dev is not running');
    const ended = new Promise<number | null>((resolve) => {
      dev.once('exit', (code) => resolve(code));
    });
    dev.kill(signal);
    const code = await withDeadline(ended, () => `dev did not end after ${signal}; it printed:\n${this.#output}`);
    this.#dev = undefined;
    return code;
  }

  get devPid(): number | undefined {
    return this.#dev?.pid;
  }

  /** Runs another `flinkjob` command to its end. */
  flinkjob(
    ...args: readonly string[]
  ): Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }> {
    return run(process.execPath, [cli, ...args, '--work-dir', this.workDirectory], this.environment);
  }

  /** Runs a command that knows nothing of controllers, where the job's processes run. */
  runtimeCommand(...args: readonly string[]): ReturnType<typeof run> {
    return run(process.execPath, [cli, ...args], this.environment);
  }

  /** The resource once the controller has looked at it: before that it has no status, as in Kubernetes. */
  async view(): Promise<FlinkJobView | undefined> {
    const { code, stdout } = await this.flinkjob('get', this.name, '-o', 'json');
    if (code !== 0) {
      return undefined;
    }
    const resource = JSON.parse(stdout) as Omit<FlinkJobView, 'status'> & { readonly status?: FlinkJobView['status'] };
    return resource.status === undefined ? undefined : { ...resource, status: resource.status };
  }

  /** `/v1/status` of the JobManager that the resource names; undefined while there is none that answers. */
  async status(): Promise<JobStatusDocument | undefined> {
    for (const address of this.#restAddresses()) {
      try {
        const answer = await fetch(`http://${address}/v1/status`, { signal: AbortSignal.timeout(2000) });
        return (await answer.json()) as JobStatusDocument;
      } catch {
        // Not there yet, paused or killed: the caller asks again until its deadline.
      }
    }
    return undefined;
  }

  /** Address files, newest epoch first. */
  #restAddresses(): readonly string[] {
    return globSync(join(this.workDirectory, 'default', this.name, 'attempts', '*', 'job-manager-address.json'))
      .flatMap((file) => announcedIn(file) ?? [])
      .toSorted((left, right) => right.epoch - left.epoch)
      .map(({ rest }) => rest);
  }

  /** Runtime processes of this job that exist now, from /proc: what the system says, not what the product says. */
  processes(): readonly { readonly pid: number; readonly role: 'job-manager' | 'task-manager' }[] {
    const found: { pid: number; role: 'job-manager' | 'task-manager' }[] = [];
    for (const entry of readdirSync('/proc')) {
      if (!/^\d+$/.test(entry)) {
        continue;
      }
      let words: readonly string[];
      try {
        words = readFileSync(`/proc/${entry}/cmdline`, 'utf8').split('\0');
      } catch {
        continue; // It ended while we looked.
      }
      const role = words.find((word) => word === 'job-manager' || word === 'task-manager');
      if (role !== undefined && words.some((word) => word.startsWith(this.workDirectory))) {
        found.push({ pid: Number(entry), role: role as 'job-manager' | 'task-manager' });
      }
    }
    return found;
  }

  pids(role: 'job-manager' | 'task-manager'): readonly number[] {
    return this.processes()
      .filter((process) => process.role === role)
      .map(({ pid }) => pid);
  }

  /** Waits until the running JobManager's status fulfils the condition, and returns it. */
  async untilStatus(what: string, condition: (status: JobStatusDocument) => boolean): Promise<JobStatusDocument> {
    let last: JobStatusDocument | undefined;
    return await this.until(
      what,
      async () => {
        last = await this.status();
        return last !== undefined && condition(last) ? last : undefined;
      },
      () => `last status: ${JSON.stringify(last, undefined, 1)}`,
    );
  }

  /** Waits until the resource fulfils the condition, and returns it. */
  async untilView(what: string, condition: (view: FlinkJobView) => boolean): Promise<FlinkJobView> {
    let last: FlinkJobView | undefined;
    return await this.until(
      what,
      async () => {
        last = await this.view();
        return last !== undefined && condition(last) ? last : undefined;
      },
      () => `last resource: ${JSON.stringify(last, undefined, 1)}`,
    );
  }

  /** A job is over when its lineage says so; its processes end a moment later. */
  async untilNoProcessIsLeft(): Promise<void> {
    await this.until('no process is left', () => (this.processes().length === 0 ? true : undefined));
  }

  async until<T>(what: string, look: () => Promise<T | undefined> | T | undefined, explain: () => string = () => ''): Promise<T> {
    const startedAt = performance.now();
    for (;;) {
      const found = await look();
      if (found !== undefined) {
        return found;
      }
      if (performance.now() - startedAt > deadlineMs) {
        assert.fail(`not within ${deadlineMs / 1000} s: ${what}\n${explain()}\ndev printed:\n${this.#output.slice(-6000)}`);
      }
      await delay(pollIntervalMs);
    }
  }

  /** Lines of all committed files of the file sink, file by file in the order of their names. */
  committedLines(): readonly string[] {
    return committedLines(this.outputDirectory);
  }
}

/** Only what a reader of the directory is meant to see: no hidden and no pending files. */
function committedLines(directory: string): readonly string[] {
  return readdirSync(directory)
    .filter((name) => name.startsWith('part-'))
    .toSorted()
    .flatMap((name) =>
      readFileSync(join(directory, name), 'utf8')
        .split('\n')
        .filter((line) => line !== ''),
    );
}

export function run(
  command: string,
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, [...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...environment, NO_COLOR: '1' },
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}

export function runFlinkjob(...args: readonly string[]): ReturnType<typeof run> {
  return run(process.execPath, [cli, ...args]);
}

/** Undefined where the controller has removed the attempt meanwhile. */
function announcedIn(file: string): { readonly rest: string; readonly epoch: number } | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    assert.equal((error as NodeJS.ErrnoException).code, 'ENOENT');
    return undefined;
  }
}

export function jobModule(name: string): string {
  return join(jobs, name);
}

/** Nothing happens when the process is gone already. */
export function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    assert.equal((error as NodeJS.ErrnoException).code, 'ESRCH');
  }
}

async function withDeadline<T>(promise: Promise<T>, explain: () => string): Promise<T> {
  const abort = new AbortController();
  const late = delay(deadlineMs, undefined, { signal: abort.signal }).then(() => assert.fail(explain()));
  late.catch(() => {
    // Aborted below when the promise won.
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    abort.abort();
  }
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
