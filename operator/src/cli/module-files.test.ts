import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { readModuleFiles } from './module-files.ts';

async function directoryWith(context: TestContext, files: Readonly<Record<string, string>>): Promise<string> {
  const directory = await mkdtemp(path.join(tmpdir(), 'flinkjob-module-'));
  context.after(() => rm(directory, { recursive: true }));
  for (const [name, content] of Object.entries(files)) {
    await mkdir(path.dirname(path.join(directory, name)), { recursive: true });
    await writeFile(path.join(directory, name), content);
  }
  return directory;
}

const job = {
  'job.ts': `import { split } from './lib/split.ts';\nimport '@flinkjob/runtime';\nconst later = () => import("../job/late.ts");\n`,
  'lib/split.ts': `export * from './words.ts';\nexport { job } from '../job.ts';\n`,
  'lib/words.ts': `// nothing\n`,
  'lib/unused.ts': `export const unused = 1;\n`,
  'words.txt': 'data',
};

test('the files of a module are those it imports, however deep, and each once', async (context) => {
  const directory = await directoryWith(context, {
    ...job,
    'job.ts': `${job['job.ts']}read('./words.txt'); import('./missing.ts');`,
  });
  const { files } = await readModuleFiles(path.join(directory, 'job.ts'));
  assert.deepEqual(
    files.map((file) => path.relative(directory, file)),
    ['job.ts', 'lib/split.ts', 'lib/words.ts'],
  );
});

test('the digest changes with each file of the module and with no other', async (context) => {
  const directory = await directoryWith(context, job);
  const digest = async () => (await readModuleFiles(path.join(directory, 'job.ts'))).digest;
  const before = await digest();
  await writeFile(path.join(directory, 'lib/unused.ts'), 'changed');
  await writeFile(path.join(directory, 'words.txt'), 'changed');
  assert.equal(await digest(), before);
  await writeFile(path.join(directory, 'lib/words.ts'), 'export const changed = 1;');
  assert.notEqual(await digest(), before);
  await writeFile(path.join(directory, 'lib/words.ts'), job['lib/words.ts']);
  assert.equal(await digest(), before);
});

test('the digest does not depend on where the module lies', async (context) => {
  const one = await directoryWith(context, job);
  const other = await directoryWith(context, job);
  assert.equal(
    (await readModuleFiles(path.join(one, 'job.ts'))).digest,
    (await readModuleFiles(path.join(other, 'job.ts'))).digest,
  );
});

test('a module that is not there is an error', async (context) => {
  const directory = await directoryWith(context, {});
  await assert.rejects(readModuleFiles(path.join(directory, 'job.ts')), { code: 'ENOENT' });
});
