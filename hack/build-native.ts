/**
 * Builds the RocksDB addon (runtime/native) for this machine, unless it is there already: about a minute the first time, nothing after that.
 *
 *   node hack/build-native.ts                fails when it cannot be built
 *   node hack/build-native.ts --optional     says so in one line and goes on: jobs with the state backend HashMap need no addon
 *   node hack/build-native.ts --asan         with AddressSanitizer, beside the other; prints its path (hack/fuzz-native.ts uses it)
 *
 * The result lies in `.cache/native/<digest of sources, versions and flags>`, and `.cache/native/current` points at it.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  globSync,
  linkSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { NativeBuildError } from './native/native-build-error.ts';
import {
  fetchHeaders,
  fetchLibrary,
  libraryFileName,
  moveIntoPlace,
  neededToFetch,
  partsIdentity,
} from './native/rocksdb-parts.ts';

const addonFileName = 'flinkjob-rocksdb.node';

const root = fileURLToPath(new URL('..', import.meta.url));
const native = join(root, 'runtime', 'native');
const cache = join(root, '.cache', 'native');
const run = promisify(execFile);

/** The published library is compiled with libstdc++'s old string and without type information, and what links to it must be too. */
const compileFlags = [
  '-std=c++20',
  '-O2',
  '-fPIC',
  '-fno-rtti',
  '-fvisibility=hidden',
  '-Wall',
  '-Wextra',
  '-DNAPI_VERSION=8',
  '-D_GLIBCXX_USE_CXX11_ABI=0',
];
/** The library is found beside the addon, wherever the two are. `nodelete`: RocksDB's threads run on when the worker that loaded the addon has ended, so its code must stay. */
const linkFlags = ['-shared', '-s', '-Wl,-rpath,$ORIGIN', '-Wl,-z,nodelete'];
const asanFlags = ['-g', '-O1', '-fsanitize=address', '-fno-omit-frame-pointer'];

interface BuildOptions {
  readonly asan: boolean;
}

/** Gives the addon's file. Throws `NativeBuildError`. */
export async function buildNative(options: BuildOptions = { asan: false }): Promise<string> {
  const directory = join(cache, `${digest(options)}${options.asan ? '-asan' : ''}`);
  if (!existsSync(join(directory, addonFileName))) {
    await build(directory, options);
  }
  if (!options.asan) {
    makeCurrent(directory);
  }
  return join(directory, addonFileName);
}

async function build(directory: string, options: BuildOptions): Promise<void> {
  const startedAt = performance.now();
  const library = process.platform === 'linux' ? libraryFileName(process.arch) : undefined;
  if (library === undefined) {
    throw new NativeBuildError(
      `there is no RocksDB library for ${process.platform} on ${process.arch}, only for Linux on x64 and arm64`,
    );
  }
  const toFetch = neededToFetch(cache, library);
  await expectTools(['g++', ...toFetch]);
  if (toFetch.length > 0) {
    say(`fetching RocksDB (${toFetch.join(', ')}) …`);
  }
  const [libraryFile, include] = await Promise.all([fetchLibrary(cache, library), fetchHeaders(cache, join(native, 'headers'))]);
  const scratch = mkdtempSync(join(cache, 'build-'));
  try {
    await compile(scratch, include, options);
    say('linking …');
    place(libraryFile, join(scratch, library));
    const objects = globSync('*.o', { cwd: scratch }).map((name) => join(scratch, name));
    const flags = [...linkFlags.filter((flag) => !options.asan || flag !== '-s'), ...(options.asan ? asanFlags : [])];
    await tool('g++', [...flags, '-o', join(scratch, addonFileName), ...objects, `-L${scratch}`, `-l:${library}`]);
    for (const object of objects) {
      rmSync(object);
    }
    copyFileSync(join(native, 'NOTICE'), join(scratch, 'NOTICE'));
    copyFileSync(join(dirname(include), 'LICENSE.Apache'), join(scratch, 'LICENSE.rocksdb'));
    copyFileSync(join(dirname(include), 'LICENSE.leveldb'), join(scratch, 'LICENSE.leveldb'));
    if (!options.asan) {
      await tool(process.execPath, ['-e', `require(${JSON.stringify(join(scratch, addonFileName))})`]);
    }
    chmodSync(scratch, 0o755);
    moveIntoPlace(scratch, directory);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  say(`done in ${Math.round((performance.now() - startedAt) / 1000)} s`);
}

/** As many at a time as there are processors. */
async function compile(scratch: string, include: string, options: BuildOptions): Promise<void> {
  const sources = globSync('src/*.cc', { cwd: native }).toSorted();
  const nodeHeaders = join(root, 'node_modules', 'node-api-headers', 'include');
  const waiting = [...sources];
  say(`compiling ${sources.length} files …`);
  const compileNext = async (): Promise<void> => {
    for (let source = waiting.shift(); source !== undefined; source = waiting.shift()) {
      const flags = [...compileFlags, ...(options.asan ? asanFlags : []), '-isystem', include, '-isystem', nodeHeaders];
      await tool('g++', [...flags, '-c', join(native, source), '-o', join(scratch, `${basename(source, '.cc')}.o`)]);
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, compileNext));
}

const tools = { 'g++': 'a C++20 compiler, version 11 or newer', mvn: 'Apache Maven', cargo: 'of Rust' };

async function expectTools(needed: readonly (keyof typeof tools)[]): Promise<void> {
  const checks = needed.map(async (command) => {
    const works = await run(command, ['--version']).then(
      () => true,
      () => false,
    );
    return works ? [] : [`${command} (${tools[command]})`];
  });
  const missing = (await Promise.all(checks)).flat();
  if (missing.length > 0) {
    throw new NativeBuildError(`not installed: ${missing.join(', ')}`);
  }
}

async function tool(command: string, args: readonly string[]): Promise<void> {
  try {
    const { stderr } = await run(command, args, { maxBuffer: 16 << 20 });
    process.stderr.write(stderr);
  } catch (error) {
    const { stderr, message } = error as Error & { stderr?: string };
    throw new NativeBuildError(`${command} failed: ${stderr || message}`);
  }
}

function digest(options: BuildOptions): string {
  const hash = createHash('sha256');
  hash.update(
    JSON.stringify([partsIdentity, compileFlags, linkFlags, options.asan ? asanFlags : [], process.platform, process.arch]),
  );
  // How it is put together is part of it: this file too.
  for (const file of globSync(['runtime/native/src/*', 'runtime/native/NOTICE', 'hack/build-native.ts'], {
    cwd: root,
  }).toSorted()) {
    hash.update(`\n${file}\n`).update(readFileSync(join(root, file)));
  }
  return hash.digest('hex').slice(0, 16);
}

/** In one step, so that a process which starts meanwhile finds the one or the other. */
function makeCurrent(directory: string): void {
  const link = join(cache, 'current');
  if (existsSync(join(link, addonFileName)) && realpathSync(link) === directory) {
    return;
  }
  const temporary = join(cache, `current-${process.pid}`);
  rmSync(temporary, { force: true });
  symlinkSync(basename(directory), temporary);
  renameSync(temporary, link);
}

/** Linked, because it has 15 MB and is the same for every build. */
function place(source: string, target: string): void {
  try {
    linkSync(source, target);
  } catch {
    copyFileSync(source, target);
  }
}

function say(what: string): void {
  process.stderr.write(`building the RocksDB addon: ${what}\n`);
}

if (import.meta.main) {
  const args = process.argv.slice(2);
  try {
    const file = await buildNative({ asan: args.includes('--asan') });
    if (!args.includes('--optional')) {
      console.log(file);
    }
  } catch (error) {
    if (!(error instanceof NativeBuildError)) {
      throw error;
    }
    const without = args.includes('--optional') ? ' Jobs with the state backend HashMap run; RocksDB is refused by name.' : '';
    process.stderr.write(`The RocksDB addon could not be built: ${error.message}.${without}\n`);
    process.exitCode = args.includes('--optional') ? 0 : 1;
  }
}
