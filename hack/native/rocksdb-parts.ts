/**
 * The two things that the addon is built from and that are not in the project: RocksDB's library and its headers, of the same version. Both come through
 * the package managers' own clients, so that a mirror which is configured there is used, and both are checked against what is written here.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { readJarEntry } from './jar-entry.ts';
import { NativeBuildError } from './native-build-error.ts';

const rocksdbVersion = '10.4.2';

const library = {
  artifact: `org.rocksdb:rocksdbjni:${rocksdbVersion}:jar:linux64`,
  jar: `rocksdbjni-${rocksdbVersion}-linux64.jar`,
  jarSha256: '34a9b9ab5bdb128c058363d72a83ab5d0a498a97df9cf1291f1a6e9260bb70b1',
  plugin: 'org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy',
};

const headers = {
  crate: `librocksdb-sys-0.17.3+${rocksdbVersion}`,
  /** Of all files under `include`, each with its name. They are all that is used of the crate. */
  sha256: '45270782271d89b5d055cd886348dadce43f5ec21c9790e15071ab084630ab95',
};

/** What the digest of a build takes in. */
export const partsIdentity = JSON.stringify({ library, headers });

/** The library's name in the jar, which it keeps. */
export function libraryFileName(architecture: NodeJS.Architecture): string | undefined {
  return { x64: 'librocksdbjni-linux64.so', arm64: 'librocksdbjni-linux-aarch64.so' }[architecture as string];
}

/** A download that takes longer is not going to end. */
const downloadTimeoutMs = 5 * 60_000;

const run = promisify(execFile);

/** The commands that are needed for what is not in the cache. */
export function neededToFetch(cache: string, fileName: string): readonly ('mvn' | 'cargo')[] {
  return [
    ...(existsSync(join(libraryDirectory(cache), fileName)) ? [] : ['mvn' as const]),
    ...(existsSync(headersDirectory(cache)) ? [] : ['cargo' as const]),
  ];
}

const libraryDirectory = (cache: string): string => join(cache, `library-${rocksdbVersion}`);
const headersDirectory = (cache: string): string => join(cache, `headers-${rocksdbVersion}`);

/** Gives the library's file. */
export async function fetchLibrary(cache: string, fileName: string): Promise<string> {
  const directory = libraryDirectory(cache);
  const file = join(directory, fileName);
  if (!existsSync(file)) {
    await fill(cache, directory, async (target, work) => {
      const options = [`-Dartifact=${library.artifact}`, `-DoutputDirectory=${work}`, '-Dmdep.useBaseVersion=true'];
      await download('mvn', ['-q', '-B', library.plugin, ...options], work);
      const jar = join(work, library.jar);
      expectSha256(library.jar, sha256(readFileSync(jar)), library.jarSha256);
      writeFileSync(join(target, fileName), readJarEntry(jar, fileName), { mode: 0o755 });
    });
  }
  return file;
}

/** Gives the folder to include from. RocksDB's licence files lie beside it. */
export async function fetchHeaders(cache: string, manifests: string): Promise<string> {
  const directory = headersDirectory(cache);
  if (!existsSync(directory)) {
    await fill(cache, directory, async (target, work) => {
      copyFileSync(join(manifests, 'Cargo.toml'), join(work, 'Cargo.toml'));
      mkdirSync(join(work, 'src'));
      writeFileSync(join(work, 'src', 'lib.rs'), '');
      await download('cargo', ['vendor', '--quiet', '--versioned-dirs', 'vendor'], work);
      const source = join(work, 'vendor', headers.crate, 'rocksdb');
      expectSha256(`the headers of ${headers.crate}`, treeSha256(join(source, 'include')), headers.sha256);
      for (const name of ['include', 'LICENSE.Apache', 'LICENSE.leveldb']) {
        cpSync(join(source, name), join(target, name), { recursive: true });
      }
    });
  }
  return join(directory, 'include');
}

/** Makes `directory` appear whole or not at all, also when two builds run at once. */
async function fill(cache: string, directory: string, make: (target: string, work: string) => Promise<void>): Promise<void> {
  mkdirSync(cache, { recursive: true });
  const scratch = mkdtempSync(join(cache, 'fetch-'));
  try {
    const [target, work] = [join(scratch, 'target'), join(scratch, 'work')];
    mkdirSync(target);
    mkdirSync(work);
    await make(target, work);
    moveIntoPlace(target, directory);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** Somebody else may have been faster: what is there then is the same. */
export function moveIntoPlace(made: string, directory: string): void {
  try {
    renameSync(made, directory);
  } catch (error) {
    if (!existsSync(directory)) {
      throw error;
    }
  }
}

async function download(command: string, args: readonly string[], cwd: string): Promise<void> {
  try {
    await run(command, args, { cwd, timeout: downloadTimeoutMs, maxBuffer: 16 << 20 });
  } catch (error) {
    const { stdout = '', stderr = '', message } = error as Error & { stdout?: string; stderr?: string };
    const said = `${stdout}\n${stderr}`.split('\n').filter((line) => line.trim() !== '');
    throw new NativeBuildError(`${command} could not fetch it: ${said.slice(0, 3).join(' ') || message}`);
  }
}

/** Names are part of it, and go in the order of their bytes. */
function treeSha256(directory: string): string {
  const digest = createHash('sha256');
  const names = globSync('**/*', { cwd: directory, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1));
  for (const name of names.toSorted()) {
    digest.update(`${name}\n${sha256(readFileSync(join(directory, name)))}\n`);
  }
  return digest.digest('hex');
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function expectSha256(what: string, actual: string, expected: string): void {
  if (actual !== expected) {
    throw new NativeBuildError(`${what} is not what this project was tested with: SHA-256 ${actual}, expected ${expected}`);
  }
}
