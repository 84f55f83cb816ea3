import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { removeTree } from './remove-tree.ts';

async function temporary(context: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'remove-tree-'));
  context.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

test('a tree goes as a whole, and missing ones are no failure', async (context) => {
  const root = await temporary(context);
  await mkdir(join(root, 'tree/a/b'), { recursive: true });
  await writeFile(join(root, 'tree/a/b/000012.sst'), 'x');
  await writeFile(join(root, 'tree/CURRENT'), 'x');
  await removeTree(join(root, 'tree'));
  await removeTree(join(root, 'tree'));
  assert.deepEqual(await readdir(root), []);
});

test('symbolic links in a tree are removed and not followed', async (context) => {
  const root = await temporary(context);
  await mkdir(join(root, 'precious'));
  await writeFile(join(root, 'precious/file'), 'kept');
  await mkdir(join(root, 'tree'));
  await symlink(join(root, 'precious'), join(root, 'tree/to-directory'));
  await symlink(join(root, 'precious/file'), join(root, 'tree/to-file'));
  await symlink(join(root, 'nowhere'), join(root, 'tree/dangling'));
  await removeTree(join(root, 'tree'));
  assert.deepEqual(await readdir(root), ['precious']);
  assert.equal(await readFile(join(root, 'precious/file'), 'utf8'), 'kept');
});

test('a symbolic link in the place of the tree is refused', async (context) => {
  const root = await temporary(context);
  await mkdir(join(root, 'precious'));
  await writeFile(join(root, 'precious/file'), 'kept');
  await symlink(join(root, 'precious'), join(root, 'tree'));
  await assert.rejects(removeTree(join(root, 'tree')), /is not a directory any more/);
  assert.deepEqual((await readdir(root)).sort(), ['precious', 'tree']);
  assert.deepEqual(await readdir(join(root, 'precious')), ['file']);
});
