/**
 * Builds a program of somebody else's that the tests need, from its Go module, unless it is there already. Go's own client fetches it with all that it
 * consists of, each part pinned by version in a `go.mod` and by content in the `go.sum` beside it. The result lies in
 * `.cache/<name>/<digest of these and the flags>`, and `.cache/<name>/current` points at it.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, globSync, mkdirSync, readFileSync, realpathSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

/** It cannot be built, and the message says why: Go is missing, a download failed, a compiler's complaint. */
export class GoProgramBuildError extends Error {
  override readonly name = 'GoProgramBuildError';
}

export interface GoProgram {
  /** Of its folder in `.cache`. */
  readonly cacheName: string;
  /** What people call it: "the S3 server of the tests". */
  readonly title: string;
  /** Directory that holds `go.mod` and `go.sum`. */
  readonly module: string;
  /** The package to build; one that begins with `./` lies in the module itself. */
  readonly command: string;
  /** Build tags. */
  readonly tags?: string;
  readonly fileName: string;
  /** How long the first build takes on an idle machine, in words. */
  readonly expected: string;
}

/** `readonly`: a part that `go.sum` does not name is an error. Without paths and symbols it is the same for everyone, and half as large. */
const flags = ['-mod=readonly', '-buildvcs=false', '-trimpath', '-ldflags=-s -w'];
/** Ten times what an idle machine needs: a busy one should be slow, not fail. */
const buildTimeoutMs = 30 * 60_000;
const progressIntervalMs = 15_000;

/** Gives the program's file. Throws `GoProgramBuildError`. */
export async function buildGoProgram(program: GoProgram): Promise<string> {
  const cache = fileURLToPath(new URL(`../.cache/${program.cacheName}`, import.meta.url));
  const directory = join(cache, digest(program));
  const file = join(directory, program.fileName);
  if (!existsSync(file)) {
    const scratch = join(cache, `build-${process.pid}`);
    mkdirSync(scratch, { recursive: true });
    try {
      await build(program, join(scratch, program.fileName));
      moveIntoPlace(scratch, directory);
    } finally {
      rmSync(scratch, { recursive: true, force: true });
    }
  }
  makeCurrent(cache, directory);
  return file;
}

/** In one step, so that a test which starts meanwhile finds the one or the other. */
function makeCurrent(cache: string, directory: string): void {
  const link = join(cache, 'current');
  if (existsSync(link) && realpathSync(link) === directory) {
    return;
  }
  const temporary = join(cache, `current-${process.pid}`);
  rmSync(temporary, { force: true });
  symlinkSync(basename(directory), temporary);
  renameSync(temporary, link);
}

async function build({ title, module, command, tags, expected }: GoProgram, file: string): Promise<void> {
  await expectGo();
  const startedAt = performance.now();
  const seconds = (): number => Math.round((performance.now() - startedAt) / 1_000);
  const say = (what: string): void => void process.stderr.write(`building ${title}: ${what}\n`);
  say(`fetching and compiling; ${expected}, once …`);
  const progress = setInterval(() => say(`still at it, ${seconds()} s …`), progressIntervalMs);
  const child = spawn('go', ['build', ...flags, ...(tags === undefined ? [] : ['-tags', tags]), '-o', file, command], {
    cwd: module,
    env: { ...process.env, CGO_ENABLED: '0', GOWORK: 'off', GOFLAGS: '' },
    stdio: ['ignore', 'ignore', 'pipe'],
    timeout: buildTimeoutMs,
  });
  try {
    const { code, said } = await ended(child);
    if (code !== 0) {
      throw new GoProgramBuildError(`go build failed: ${said.split('\n').slice(-5).join(' ').trim()}`);
    }
  } finally {
    clearInterval(progress);
  }
  say(`done in ${seconds()} s`);
}

function ended(child: ChildProcess): Promise<{ readonly code: number | null; readonly said: string }> {
  return new Promise((resolve, reject) => {
    let said = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, said }));
  });
}

/** Whatever Go is there makes the same of it: one that is missing matters only when there is something to build. */
function digest({ module, command, tags }: GoProgram): string {
  const hash = createHash('sha256').update(
    JSON.stringify([command, flags, process.platform, process.arch, ...(tags === undefined ? [] : [tags])]),
  );
  const own = command.startsWith('./') ? globSync(`${command}/*.go`, { cwd: module }).toSorted() : [];
  for (const name of ['go.mod', 'go.sum', ...own]) {
    hash.update(readFileSync(join(module, name)));
  }
  return hash.digest('hex').slice(0, 16);
}

async function expectGo(): Promise<void> {
  try {
    await promisify(execFile)('go', ['version']);
  } catch (cause) {
    throw new GoProgramBuildError('not installed: go (of version 1.26 or newer)', { cause });
  }
}

/** Somebody else may have been faster: what is there then is the same. */
function moveIntoPlace(made: string, directory: string): void {
  try {
    renameSync(made, directory);
  } catch (error) {
    if (!existsSync(directory)) {
      throw error;
    }
  }
}
