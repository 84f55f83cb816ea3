// Job modules are written to a directory outside this repository, where nothing is installed, and loaded for real.
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { JobError } from '../core/job-error.ts';
import type { JobGraph } from '../core/job-graph/job-graph.ts';
import { jobGraphHash } from './job-graph-hash.ts';
import { loadJob } from './load-job.ts';

let directory: string;

before(async () => {
  directory = await realpath(await mkdtemp(join(tmpdir(), 'job-modules-')));
});

after(() => rm(directory, { recursive: true }));

async function write(name: string, content: string): Promise<string> {
  const path = join(directory, name);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, content);
  return path;
}

const config = { args: { path: '/data' }, parallelism: 2, maxParallelism: 128 };

const importLine = "import { defineJob, fileLines, print, t } from '@flinkjob/runtime';";
const body = "env.source(fileLines({ path: args.path }), { uid: 'lines' }).sink(print(), { uid: 'out' });";

const forms: readonly [string, string][] = [
  ['job.ts', `${importLine}\nconst uid: string = 'x';\nexport default defineJob(({ env, args }) => { ${body} });`],
  ['job.mjs', `${importLine}\nexport default defineJob(({ env, args }) => { ${body} });`],
  ['job.js', `${importLine}\nexport default defineJob(({ env, args }) => { ${body} });`],
  [
    'job.cjs',
    `const { defineJob, fileLines, print } = require('@flinkjob/runtime');\nmodule.exports = defineJob(({ env, args }) => { ${body} });`,
  ],
  ['async.ts', `${importLine}\nawait null;\nexport default defineJob(async ({ env, args }) => { await null; ${body} });`],
  ['directory with spaces/jöb #1.ts', `${importLine}\nexport default defineJob(({ env, args }) => { ${body} });`],
  ['with-import.ts', `${importLine}\nimport { build } from './imported.ts';\nexport default defineJob(build);`],
];

for (const [name, content] of forms) {
  test(`loads ${name} where the runtime is not installed`, async () => {
    await write('imported.ts', `${importLine}\nexport const build = ({ env, args }) => { ${body} };`);
    const job = await loadJob({ ...config, module: await write(name, content) });
    assert.deepEqual(
      job.graph.vertices.map((vertex) => [vertex.id, vertex.parallelism]),
      [['lines', 2]],
    );
    assert.equal(job.graph.name, name.replace(/^.*\//, '').replace(/\.[a-z]+$/, ''));
  });
}

test('a job that has its own copy of the runtime still gets this one', async () => {
  await write('own/node_modules/@flinkjob/runtime/package.json', '{ "name": "@flinkjob/runtime", "main": "index.js" }');
  await write('own/node_modules/@flinkjob/runtime/index.js', 'throw new Error("the wrong copy");');
  const module = await write('own/job.ts', forms[0]?.[1] ?? '');
  assert.equal((await loadJob({ ...config, module })).graph.vertices.length, 1);
});

test('a worker thread loads the same job', async () => {
  const module = await write('job.ts', forms[0]?.[1] ?? '');
  const { graph } = await loadJob({ ...config, module });
  const code = `
    import { parentPort, workerData } from 'node:worker_threads';
    const { loadJob } = await import(workerData.loader);
    parentPort.postMessage((await loadJob(workerData.config)).graph);
  `;
  const loader = new URL('./load-job.ts', import.meta.url).href;
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`), {
    workerData: { loader, config: { ...config, module } },
  });
  const received = await new Promise<JobGraph>((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
  assert.equal(jobGraphHash(received), jobGraphHash(graph));
});

test('the hash of a graph changes with the graph, not with the order of its fields', async () => {
  const module = await write('job.ts', forms[0]?.[1] ?? '');
  const { graph } = await loadJob({ ...config, module });
  const reordered = Object.fromEntries(Object.entries(graph).reverse()) as unknown as JobGraph;
  assert.match(jobGraphHash(graph), /^[0-9a-f]{64}$/);
  assert.equal(jobGraphHash(reordered), jobGraphHash(graph));
  const other = await loadJob({ ...config, module, parallelism: 3 });
  assert.notEqual(jobGraphHash(other.graph), jobGraphHash(graph));
});

/** File, content, code and what the message must have; `%` stands for the directory. */
const failures: readonly [string, string, string, string, RegExp][] = [
  [
    'no default export',
    'named.ts',
    'export const job = 1;\nexport const other = 2;',
    'DefaultExportMissing',
    /named\.ts has no default export; it exports job, other/,
  ],
  ['nothing exported', 'empty.ts', '', 'DefaultExportMissing', /empty\.ts has no default export$/],
  ['a default export that is no job', 'function.ts', 'export default function main() {}', 'NotAJob', /is the function main/],
  [
    'a module that throws',
    'throws.ts',
    "type A = 1;\n\nthrow new Error('boom');",
    'ModuleFailed',
    /^%\/throws\.ts:3 threw while it was loaded: boom/,
  ],
  [
    'a module that rejects',
    'rejects.ts',
    "export {};\nawait Promise.reject(new Error('boom'));",
    'ModuleFailed',
    /^%\/rejects\.ts:2 .*boom/,
  ],
  ['a module that throws no error', 'text.mjs', "throw 'boom';", 'ModuleFailed', /text\.mjs threw while it was loaded: boom/],
  ['syntax that is wrong', 'syntax.ts', 'export const a = 1;\nconst b = = 2;', 'ModuleSyntaxInvalid', /^%\/syntax\.ts:2: /],
  [
    'syntax that is wrong in JavaScript',
    'syntax.mjs',
    'export const a = 1;\nconst b = = 2;',
    'ModuleSyntaxInvalid',
    /^%\/syntax\.mjs:2: /,
  ],
  [
    'TypeScript that has to be compiled',
    'enum.ts',
    'export {};\nenum Color { Red }',
    'ModuleSyntaxUnsupported',
    /^%\/enum\.ts:2: .*enum/,
  ],
  [
    'a file inside node_modules',
    'node_modules/x/job.ts',
    'export default 1 as number;',
    'ModuleSyntaxUnsupported',
    /inside node_modules/,
  ],
  ['an import of a missing file', 'import-file.ts', "import './nothing.ts';", 'ModuleImportMissing', /nothing\.ts/],
  [
    'an import of a missing package',
    'import-package.ts',
    "import 'package-that-is-not-there';",
    'ModuleImportMissing',
    /package-that-is-not-there/,
  ],
  [
    'an import of a missing name',
    'import-name.ts',
    "import { asyncIo } from '@flinkjob/runtime';\nasyncIo();",
    'ModuleImportMissing',
    /'asyncIo'/,
  ],
  ['an unknown kind of file', 'job.txt', 'hello', 'ModuleExtensionUnknown', /job\.txt/],
  [
    'a build function that throws',
    'build-throws.ts',
    `${importLine}\nexport default defineJob(({ args }) => {\n  const port: number = args.port.length;\n});`,
    'JobBuildFailed',
    /^%\/build-throws\.ts:3 threw while the job was built: Cannot read/,
  ],
  [
    'a build function that rejects',
    'build-rejects.ts',
    `${importLine}\nexport default defineJob(async () => {\n  await null;\n  throw new Error('boom');\n});`,
    'JobBuildFailed',
    /^%\/build-rejects\.ts:4 .*boom/,
  ],
  [
    'a job without sink',
    'no-sink.ts',
    `${importLine}\nexport default defineJob(({ env, args }) => {\n  env.source(fileLines({ path: args.path }), { uid: 'lines' });\n});`,
    'SinkMissing',
    /nothing reads what lines emits/,
  ],
  [
    'a uid used twice',
    'uids.ts',
    `${importLine}\nexport default defineJob(({ env, args }) => {\n  env.source(fileLines({ path: args.path }), { uid: 'a' })\n    .sink(print(), { uid: 'a' });\n});`,
    'UidDuplicate',
    /^%\/uids\.ts:4: the uid "a" is used twice/,
  ],
];

for (const [name, file, content, code, message] of failures) {
  test(`${name} is answered with ${code}, place and remedy`, async () => {
    const module = await write(file, content);
    await assert.rejects(loadJob({ ...config, module }), (error) => {
      assert.ok(error instanceof JobError, String(error));
      assert.equal(error.code, code, error.message);
      assert.equal(error.domain, 'user');
      assert.equal(error.retry, 'never');
      assert.match(error.message.replaceAll(directory, '%'), message);
      assert.ok(error.remedy);
      return true;
    });
  });
}

test('a path that is no file is answered before anything is loaded', async () => {
  await assert.rejects(loadJob({ ...config, module: 'job.ts' }), { code: 'ModulePathInvalid' });
  await assert.rejects(loadJob({ ...config, module: join(directory, 'nothing.ts') }), { code: 'ModuleMissing' });
  await assert.rejects(loadJob({ ...config, module: directory }), { code: 'ModuleMissing' });
});
