import { spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';

const mebibyte = 1024 * 1024;
const fillerName = 'filler';

/** A file system of its own is mounted, which takes root on Linux. */
export const whyNoSmallDisk: string | false =
  (process.platform !== 'linux' || process.getuid?.() !== 0) && 'mounting a small disk takes root on Linux';

/** A tmpfs of so many MiB at a directory. */
export class SmallDisk implements AsyncDisposable {
  readonly #directory: string;

  constructor(directory: string, mebibytes: number) {
    this.#directory = directory;
    mkdirSync(directory, { recursive: true });
    run('mount', '-t', 'tmpfs', '-o', `size=${mebibytes}m`, 'flinkjob-faults', directory);
  }

  /** Takes all the space that there is at the moment, and what becomes free later is soon taken by others. */
  static fill(directory: string): Filler {
    return new Filler(join(directory, fillerName));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Lazily: a process that was just killed may still hold it for a moment.
    run('umount', '--lazy', this.#directory);
  }
}

class Filler implements AsyncDisposable {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
    const file = openSync(path, 'w');
    try {
      // Down to the last page.
      for (const sizeBytes of [mebibyte, 4096]) {
        fillWith(file, Buffer.alloc(sizeBytes, 1));
      }
    } finally {
      closeSync(file);
    }
  }

  remove(): void {
    rmSync(this.#path, { force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.remove();
  }
}

function fillWith(file: number, bytes: Buffer): void {
  for (;;) {
    try {
      writeSync(file, bytes);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOSPC') {
        return;
      }
      throw error;
    }
  }
}

function run(command: string, ...args: readonly string[]): void {
  const { status, stderr, error } = spawnSync(command, args, { encoding: 'utf8' });
  if (status !== 0) {
    throw new Error(`${command} ${args.join(' ')} failed: ${error?.message ?? stderr.trim()}`);
  }
}
