import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, realpath, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { copyModule, pruneModuleCopies } from './module-copy.ts';
import { readModuleFiles } from './module-files.ts';

async function project(context: TestContext, files: Readonly<Record<string, string>>): Promise<string> {
  const directory = await realpath(await mkdtemp(path.join(tmpdir(), 'flinkjob-copy-')));
  context.after(() => rm(directory, { recursive: true }));
  for (const [name, content] of Object.entries(files)) {
    await mkdir(path.dirname(path.join(directory, name)), { recursive: true });
    await writeFile(path.join(directory, name), content);
  }
  return directory;
}

const files = {
  'package.json': '{"type":"module"}',
  'node_modules/greeting/package.json': '{"name":"greeting","type":"module","exports":"./index.js"}',
  'node_modules/greeting/index.js': `export const greeting = 'hello';`,
  'jobs/job.js': `import { greeting } from 'greeting';\nimport { name } from '../lib/name.js';\nconsole.log(greeting, name);\n`,
  'lib/name.js': `export const name = 'one';\n`,
};

async function output(module: string): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, [module]);
  return stdout.trim();
}

test('a copy runs as the original did, with its packages, after the original has changed', async (context) => {
  const directory = await project(context, files);
  const elsewhere = await project(context, {});
  const copy = await copyModule(await readModuleFiles(path.join(directory, 'jobs/job.js')), path.join(elsewhere, 'modules'));
  await writeFile(path.join(directory, 'lib/name.js'), 'this is not JavaScript');
  assert.equal(await output(copy.module), 'hello one');
  assert.deepEqual([copy.sourceRoot, copy.inPlaceBecause], [directory, undefined]);
  assert(copy.module.startsWith(copy.copyRoot));
});

test('the same code is copied once, and other code beside it', async (context) => {
  const directory = await project(context, files);
  const modules = path.join(directory, '.flinkjob/modules');
  const module = path.join(directory, 'jobs/job.js');
  const first = await copyModule(await readModuleFiles(module), modules);
  assert.equal((await copyModule(await readModuleFiles(module), modules)).module, first.module);
  await writeFile(path.join(directory, 'lib/name.js'), `export const name = 'two';`);
  const second = await copyModule(await readModuleFiles(module), modules);
  assert.deepEqual([await output(first.module), await output(second.module)], ['hello one', 'hello two']);
});

test('the oldest copies go, but none that a revision in use may load', async (context) => {
  const directory = await project(context, files);
  const modules = path.join(directory, 'modules');
  const copies: string[] = [];
  for (let version = 0; version < 23; version++) {
    await writeFile(path.join(directory, 'lib/name.js'), `export const name = ${version};`);
    const copy = await copyModule(await readModuleFiles(path.join(directory, 'jobs/job.js')), modules);
    await utimes(copy.copyRoot, version, version);
    copies.push(copy.module);
  }
  await pruneModuleCopies(modules, copies.slice(0, 1));
  const left = new Set(await readdir(modules));
  assert.deepEqual(
    copies.map((module) => left.has(path.relative(modules, module).split(path.sep)[0] ?? '')),
    copies.map((_, version) => version === 0 || version > 2),
  );
  await pruneModuleCopies(path.join(directory, 'none'), []);
});

test('code that asks for its own place is run in place, and why is said', async (context) => {
  const directory = await project(context, {
    'job.js': `import './beside.js';`,
    'beside.js': `new URL('./words.txt', import.meta.url);`,
  });
  const copy = await copyModule(await readModuleFiles(path.join(directory, 'job.js')), path.join(directory, 'modules'));
  assert.equal(copy.module, path.join(directory, 'job.js'));
  assert.equal(copy.inPlaceBecause, 'beside.js asks for its own place');
});

test('files in sibling directories whose names begin alike have their parent as root', async (context) => {
  const directory = await project(context, { 'job/job.js': `import '../job-lib/a.js';`, 'job-lib/a.js': `console.log('a');` });
  await symlink(directory, path.join(directory, 'node_modules'));
  const copy = await copyModule(await readModuleFiles(path.join(directory, 'job/job.js')), path.join(directory, 'modules'));
  assert.equal(copy.sourceRoot, directory);
  assert.equal(await output(copy.module), 'a');
});
