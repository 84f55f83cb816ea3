import assert from 'node:assert/strict';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { CommandFailure } from './command.ts';
import { parseCommandLine } from './command-line.ts';
import { apply } from './commands/apply.ts';
import { prepareWorkDirectory, workDirectoryOf } from './work-directory.ts';

const workDirectory = (root: string) => workDirectoryOf(parseCommandLine(apply.description, ['job.yaml', '--work-dir', root]));

test('a work directory is made with all above it', async () => {
  const root = await mkdtemp(path.join(tmpdir(), 'work-directory-'));
  try {
    const deep = path.join(root, 'a', 'b');
    await prepareWorkDirectory(workDirectory(deep));
    await prepareWorkDirectory(workDirectory(deep));
    assert((await stat(deep)).isDirectory());
  } finally {
    await rm(root, { recursive: true });
  }
});

test('a place that cannot be a work directory is refused by name, also where nothing can ever be made', async () => {
  const root = await mkdtemp(path.join(tmpdir(), 'work-directory-'));
  try {
    const file = path.join(root, 'file');
    await writeFile(file, '');
    for (const wrong of [file, path.join(file, 'below'), '/proc/flinkjob/below']) {
      await assert.rejects(prepareWorkDirectory(workDirectory(wrong)), (error: unknown) => {
        assert(error instanceof CommandFailure && error.message.includes(wrong) && error.remedy?.includes('--work-dir'));
        return true;
      });
    }
  } finally {
    await rm(root, { recursive: true });
  }
});
