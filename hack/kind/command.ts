import { spawn } from 'node:child_process';
import { createReadStream } from 'node:fs';

/** A step could not be done; the message says which, why, and what to do where that is known. */
export class KindError extends Error {
  override readonly name = 'KindError';
}

export interface CommandOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** What the command reads on its standard input. */
  readonly inputFile?: string;
  readonly input?: string;
  readonly timeoutMs?: number;
  /** Prints a line every fifteen seconds while the command runs. */
  readonly progress?: string;
}

const defaultTimeoutMs = 60_000;
const progressIntervalMs = 15_000;
/** A failing command's last words; the rest seldom helps. */
const shownLines = 12;

/** Gives what the command printed. Throws `KindError` with its last words when it fails or takes too long. */
export async function run(command: string, args: readonly string[], options: CommandOptions = {}): Promise<string> {
  const { code, stdout, stderr, timedOut } = await attempt(command, args, options);
  if (code === 0) {
    return stdout;
  }
  const why = timedOut ? `took longer than ${(options.timeoutMs ?? defaultTimeoutMs) / 1_000} s` : `exited with ${code}`;
  const said = `${stdout}\n${stderr}`.trim().split('\n').slice(-shownLines).join('\n');
  throw new KindError(`${[command, ...args].join(' ').slice(0, 300)} ${why}:\n${said}`);
}

export interface Outcome {
  /** -1 when there is no such command or a signal ended it. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly timedOut: boolean;
}

/** The same for commands whose failure is an answer. Throws only when the command's input cannot be read. */
export async function attempt(command: string, args: readonly string[], options: CommandOptions = {}): Promise<Outcome> {
  const startedAt = performance.now();
  const child = spawn(command, args, {
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    env: { ...process.env, ...options.env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  let timedOut = false;
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  // The command may end without reading all of it; its exit code says what that means.
  child.stdin.on('error', () => {});
  const inputError = feed(child.stdin, options);
  const limit = setTimeout(() => {
    timedOut = true;
    child.kill('SIGKILL');
  }, options.timeoutMs ?? defaultTimeoutMs);
  const progress = setInterval(() => {
    if (options.progress !== undefined) {
      say(`${options.progress}: ${Math.round((performance.now() - startedAt) / 1_000)} s …`);
    }
  }, progressIntervalMs);
  try {
    const code = await new Promise<number>((resolve, reject) => {
      inputError.catch(reject);
      child.on('error', (error) => {
        stderr += error.message;
        resolve(-1);
      });
      child.on('close', (exitCode) => resolve(exitCode ?? -1));
    });
    return { code, stdout, stderr, timedOut };
  } finally {
    clearTimeout(limit);
    clearInterval(progress);
  }
}

function feed(stdin: NodeJS.WritableStream, options: CommandOptions): Promise<void> {
  if (options.inputFile === undefined) {
    stdin.end(options.input ?? '');
    return Promise.resolve();
  }
  const file = createReadStream(options.inputFile);
  file.pipe(stdin);
  return new Promise((resolve, reject) => {
    file.on('error', reject);
    file.on('end', resolve);
  });
}

/** Runs one stage of the work, and says how long it took. */
export async function stage<T>(name: string, work: () => Promise<T>): Promise<T> {
  const startedAt = performance.now();
  say(`${name} …`);
  const result = await work();
  say(`${name}: ${((performance.now() - startedAt) / 1_000).toFixed(1)} s`);
  return result;
}

export function say(what: string): void {
  process.stderr.write(`kind: ${what}\n`);
}
