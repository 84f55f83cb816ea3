// Runs a script of this project under the Node that the project pins, installing what is missing first. Plain JavaScript that any
// Node from 18 on can run, because on a fresh clone nothing else is there yet.
//   node hack/with-node24.mjs [--native] [--here] SCRIPT [ARGUMENT…]
// --native: with the RocksDB addon, if it can be built. --here: in the directory where npm was called, not in the project's.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const node = join(root, 'node_modules', '.bin', process.platform === 'win32' ? 'node.cmd' : 'node');
/** Of npm's shell, if it is npm that started this. */
const parent = process.ppid;
/** Cheap, and soon enough for somebody who waits for it. */
const parentCheckIntervalMs = 500;
/** Written after an install that went through; holds the digest of what was installed. */
const stampFile = join(root, 'node_modules', '.flinkjob-installed');
const manifests = ['package-lock.json', 'package.json', 'runtime/package.json', 'operator/package.json'];

ensureInstalled();
const scriptAt = process.argv.findIndex((argument, index) => index >= 2 && !['--native', '--here'].includes(argument));
const options = process.argv.slice(2, scriptAt);
const [script = '', ...args] = process.argv.slice(scriptAt);
if (options.includes('--native')) {
  // It says itself what it does and what is missing, and is done at once when the addon is there.
  spawnSync(node, [join(root, 'hack', 'build-native.ts'), '--optional'], { stdio: ['ignore', 'inherit', 'inherit'] });
}
const isHere = options.includes('--here');
const cwd = isHere ? (process.env.INIT_CWD ?? process.cwd()) : process.cwd();
// Sources run unbuilt: without a cache each process, and each of its threads, loads a compiler of its own to strip their types, of 20 to 40 MiB.
const env = { NODE_COMPILE_CACHE: join(root, '.cache', 'compiled-modules'), ...process.env };
const child = spawn(node, [resolve(script), ...args], { stdio: 'inherit', cwd, env });
// A terminal sends Ctrl-C to the whole process group: the child decides what it means, this process only waits.
process.on('SIGINT', () => {});
for (const signal of ['SIGTERM', 'SIGHUP']) {
  process.on(signal, () => child.kill(signal));
}
endWithNpm();
child.on('error', (error) => fail(`could not start ${node}: ${error.message}. Remove node_modules and try again.`));
child.on('exit', (code, signal) => process.exit(signal ? 128 + (constants.signals[signal] ?? 0) : (code ?? 1)));

/** npm passes SIGTERM to the shell that it runs a script by; the shell ends and passes nothing on, and whatever it had started would stay for ever. */
function endWithNpm() {
  if (process.env.npm_lifecycle_event === undefined) {
    return;
  }
  const timer = setInterval(() => {
    if (process.ppid !== parent) {
      clearInterval(timer);
      child.kill('SIGTERM');
    }
  }, parentCheckIntervalMs);
}

function ensureInstalled() {
  const digest = createHash('sha256');
  for (const file of manifests) {
    digest.update(readFileSync(join(root, file)));
  }
  const wanted = digest.digest('hex');
  if (existsSync(node) && existsSync(stampFile) && readFileSync(stampFile, 'utf8') === wanted) {
    return;
  }
  process.stderr.write('Installing dependencies (npm install); once, about half a minute …\n');
  const startedAt = Date.now();
  // Scripts must run: the `node` package fetches its binary in one. Not `npm ci`: that refuses a lock file which lacks the optional packages of
  // other platforms, and a registry mirror may not have them all. `--no-save` leaves the lock file as it is.
  const install = spawnSync('npm', ['install', '--no-save', '--no-audit', '--no-fund', '--ignore-scripts=false'], {
    cwd: root,
    stdio: ['ignore', 'ignore', 'pipe'],
    encoding: 'utf8',
    shell: process.platform === 'win32',
  });
  if (install.error || install.status !== 0) {
    fail(`npm install failed:\n${install.error?.message ?? install.stderr}`);
  }
  if (!existsSync(node)) {
    fail(
      `npm install went through, but ${node} is not there: the npm package "node" has no binary for ${process.platform}-${process.arch}.`,
    );
  }
  writeFileSync(stampFile, wanted);
  process.stderr.write(`Installed in ${Math.round((Date.now() - startedAt) / 1000)} s.\n`);
}

function fail(message) {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}
