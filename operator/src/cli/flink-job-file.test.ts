// Covers places in the file and what is filled in. Which values a field may have is covered beside the schema.
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { absoluteFileUrl, loadFlinkJobFile } from './flink-job-file.ts';

const yaml = `apiVersion: flinkjob.dev/v1alpha1
kind: FlinkJob
metadata:
  name: words
spec:
  job:
    module: ./words.ts
  state:
    checkpointStorage: file:./check points
`;

async function jobFile(context: TestContext, text: string): Promise<string> {
  const directory = await mkdtemp(path.join(tmpdir(), 'flinkjob-file-'));
  context.after(() => rm(directory, { recursive: true }));
  await writeFile(path.join(directory, 'words.ts'), `import './lib/split.ts';\n`);
  await mkdir(path.join(directory, 'lib'));
  await writeFile(path.join(directory, 'lib/split.ts'), '');
  const file = path.join(directory, 'job.yaml');
  await writeFile(file, text);
  return file;
}

function load(file: string, namespace?: string) {
  return loadFlinkJobFile(file, { modulesDirectory: path.join(path.dirname(file), 'modules'), namespace });
}

async function problem(context: TestContext, text: string, namespace?: string): Promise<string> {
  const file = await jobFile(context, text);
  const loaded = await load(file, namespace);
  assert(!loaded.ok, 'it was accepted');
  assert.equal(loaded.watchedFiles[0], file);
  return loaded.problem.join('\n').replaceAll(path.dirname(file), 'DIR');
}

test('relative paths count from the directory of the file, and the code is part of the job', async (context) => {
  const file = await jobFile(context, yaml);
  const directory = path.dirname(file);
  const loaded = await load(file);
  assert(loaded.ok);
  const { metadata, spec } = loaded.manifest;
  assert.equal(path.basename(spec.job.module), 'words.ts');
  assert.equal(path.dirname(path.dirname(spec.job.module)), path.join(directory, 'modules'));
  assert.equal(spec.state.checkpointStorage, pathToFileURL(path.join(directory, 'check points')).href);
  assert.equal(metadata.annotations?.['flinkjob.dev/working-directory'], directory);
  assert.match(metadata.annotations?.['flinkjob.dev/module-digest'] ?? '', /^[0-9a-f]{16}$/);
  assert.deepEqual(loaded.watchedFiles, [file, path.join(directory, 'words.ts'), path.join(directory, 'lib/split.ts')]);
  await writeFile(path.join(directory, 'lib/split.ts'), 'export {};');
  const changed = await load(file);
  assert(changed.ok);
  assert.notEqual(
    changed.manifest.metadata.annotations?.['flinkjob.dev/module-digest'],
    metadata.annotations?.['flinkjob.dev/module-digest'],
  );
  assert.notEqual(changed.manifest.spec.job.module, spec.job.module);
});

test('each mistake is answered once, with its place', async (context) => {
  const table: readonly (readonly [string, string])[] = [
    [
      yaml.replace('module:', 'modul:'),
      'DIR/job.yaml:7:5: spec.job.modul: unknown field\n  7 |     modul: ./words.ts\n    |     ^\n  Did you mean spec.job.module?',
    ],
    [
      yaml.replace('words.ts', 'none.ts'),
      'DIR/job.yaml:7:13: spec.job.module: there is no file DIR/none.ts\n  7 |     module: ./none.ts\n    |             ^\n  The path counts from the directory of this file, DIR.',
    ],
    [yaml.replace('  state:', '    parallelism: none\n  state:'), 'DIR/job.yaml:8:18: spec.job.parallelism: expected an integer'],
    [yaml.replace('kind: FlinkJob\n', ''), 'DIR/job.yaml:1:1: kind: expected FlinkJob, got nothing'],
    [yaml.replace('  job:', '\tjob:'), 'DIR/job.yaml:6:1: '],
    ['- 1', 'DIR/job.yaml: the resource: expected a map of fields'],
  ];
  for (const [text, expected] of table) {
    const answer = await problem(context, text);
    assert(answer.startsWith(expected), `${answer}\ndoes not begin with\n${expected}`);
  }
});

test('a namespace given twice has to be the same', async (context) => {
  const file = await jobFile(context, yaml);
  const loaded = await load(file, 'team-a');
  assert(loaded.ok);
  assert.equal(loaded.manifest.metadata.namespace, 'team-a');
  const answer = await problem(context, yaml.replace('  name: words', '  name: words\n  namespace: team-b'), 'team-a');
  assert.match(answer, /^DIR\/job\.yaml:5:14: metadata\.namespace is team-b, but --namespace says team-a\n/);
});

test('a file that is not there or is a directory is named with what to give instead', async (context) => {
  const file = await jobFile(context, yaml);
  const missing = await load(`${file}.old`);
  assert(!missing.ok);
  assert.match(missing.problem.join('\n'), /job\.yaml\.old: there is no such file\n {2}Give the path/);
  const directory = await load(path.dirname(file));
  assert(!directory.ok);
  assert.match(directory.problem.join('\n'), /this is a directory\n {2}Give the path of the YAML file in it/);
});

test('a job module in the place of the YAML is told apart, in two lines', async (context) => {
  const file = path.join(path.dirname(await jobFile(context, yaml)), 'job.ts');
  await writeFile(file, `export default defineJob(({ env }) => {\n  env.source({ a: 1 }).map((x) => x);\n});\n`);
  const loaded = await load(file);
  assert(!loaded.ok);
  assert.equal(loaded.problem.length, 2);
  assert.match(loaded.problem.join('\n'), /job module.*flinkjob run/s);
});

test('what to restore from elsewhere counts from the directory of the file, too; a folder of the lineage stays as it is', async (context) => {
  const restore = (restorePath: string) => `${yaml}  restore:\n    from: Path\n    path: ${restorePath}\n`;
  const file = await jobFile(context, restore('file:../backup'));
  const expected = pathToFileURL(path.join(path.dirname(path.dirname(file)), 'backup')).href;
  for (const [written, found] of [
    ['file:../backup', expected],
    ['s3://bucket/backup', 's3://bucket/backup'],
    ['savepoints/000007-e2', 'savepoints/000007-e2'],
  ] as const) {
    await writeFile(file, restore(written));
    const loaded = await load(file);
    assert(loaded.ok);
    assert.equal(loaded.manifest.spec.restore.path, found);
  }
});

test('file URLs become absolute, others stay', () => {
  const table: readonly (readonly [string, string])[] = [
    ['file:checkpoints', 'file:///jobs/checkpoints'],
    ['file:../a b', 'file:///a%20b'],
    ['file:/var/c', 'file:///var/c'],
    ['file:///var/a%20b', 'file:///var/a%20b'],
    ['s3://bucket/c', 's3://bucket/c'],
  ];
  for (const [url, expected] of table) {
    assert.equal(absoluteFileUrl(url, '/jobs'), expected);
  }
});
