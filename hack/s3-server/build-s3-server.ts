/**
 * Builds versitygw, the S3 server of the tests, unless it is there already: two to three minutes the first time, nothing after that.
 *
 *   node hack/s3-server/build-s3-server.ts       prints its path
 *
 * Go's own client fetches it with all that it consists of, each part pinned by version in `go.mod` and by content in `go.sum` beside this file. The
 * result lies in `.cache/s3-server/<digest of these and the flags>`, and `.cache/s3-server/current` points at it.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, realpathSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

/** It cannot be built, and the message says why: Go is missing, a download failed, a compiler's complaint. */
export class S3ServerBuildError extends Error {
  override readonly name = 'S3ServerBuildError';
}

const module = fileURLToPath(new URL('.', import.meta.url));
const cache = fileURLToPath(new URL('../../.cache/s3-server', import.meta.url));
const command = 'github.com/versity/versitygw/cmd/versitygw';
/** `readonly`: a part that `go.sum` does not name is an error. Without paths and symbols it is the same for everyone, and half as large. */
const flags = ['-mod=readonly', '-buildvcs=false', '-trimpath', '-ldflags=-s -w'];
const buildTimeoutMs = 15 * 60_000;
const progressIntervalMs = 15_000;

/** Gives the program's file. Throws `S3ServerBuildError`. */
export async function buildS3Server(): Promise<string> {
  const directory = join(cache, digest());
  const file = join(directory, 'versitygw');
  if (!existsSync(file)) {
    const scratch = join(cache, `build-${process.pid}`);
    mkdirSync(scratch, { recursive: true });
    try {
      await build(join(scratch, 'versitygw'));
      moveIntoPlace(scratch, directory);
    } finally {
      rmSync(scratch, { recursive: true, force: true });
    }
  }
  makeCurrent(directory);
  return file;
}

/** In one step, so that a test which starts meanwhile finds the one or the other. */
function makeCurrent(directory: string): void {
  const link = join(cache, 'current');
  if (existsSync(link) && realpathSync(link) === directory) {
    return;
  }
  const temporary = join(cache, `current-${process.pid}`);
  rmSync(temporary, { force: true });
  symlinkSync(basename(directory), temporary);
  renameSync(temporary, link);
}

async function build(file: string): Promise<void> {
  await expectGo();
  const startedAt = performance.now();
  const seconds = (): number => Math.round((performance.now() - startedAt) / 1_000);
  say('fetching and compiling; two to three minutes, once …');
  const progress = setInterval(() => say(`still at it, ${seconds()} s …`), progressIntervalMs);
  const child = spawn('go', ['build', ...flags, '-o', file, command], {
    cwd: module,
    env: { ...process.env, CGO_ENABLED: '0', GOWORK: 'off', GOFLAGS: '' },
    stdio: ['ignore', 'ignore', 'pipe'],
    timeout: buildTimeoutMs,
  });
  try {
    const { code, said } = await ended(child);
    if (code !== 0) {
      throw new S3ServerBuildError(`go build failed: ${said.split('\n').slice(-5).join(' ').trim()}`);
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
function digest(): string {
  const hash = createHash('sha256').update(JSON.stringify([command, flags, process.platform, process.arch]));
  for (const name of ['go.mod', 'go.sum']) {
    hash.update(readFileSync(join(module, name)));
  }
  return hash.digest('hex').slice(0, 16);
}

async function expectGo(): Promise<void> {
  try {
    await promisify(execFile)('go', ['version']);
  } catch (cause) {
    throw new S3ServerBuildError('not installed: go (of version 1.26 or newer)', { cause });
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

function say(what: string): void {
  process.stderr.write(`building the S3 server of the tests: ${what}\n`);
}

if (import.meta.main) {
  try {
    console.log(await buildS3Server());
  } catch (error) {
    if (!(error instanceof S3ServerBuildError)) {
      throw error;
    }
    console.error(`The S3 server of the tests could not be built: ${error.message}`);
    process.exitCode = 1;
  }
}
