// The layout of the package for this platform: what the template lists is what a build makes, and the loader takes it from there.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { nativeBindingAvailability } from '../../src/state-backend/rocksdb/native-loader.ts';
import { newPath, skip } from './native-fixture.ts';

const template = fileURLToPath(new URL('../npm/linux-x64-gnu/package.json', import.meta.url));
const loader = new URL('../../src/state-backend/rocksdb/native-loader.ts', import.meta.url).href;
const isOther =
  process.platform === 'linux' && process.arch === 'x64'
    ? false
    : 'there is no template for this platform yet, only for linux-x64-gnu';

test('a package with the files of a build is found and loaded', { skip: skip || isOther }, () => {
  const availability = nativeBindingAvailability();
  assert.ok(availability.state === 'Available');
  const folder = newPath();
  mkdirSync(folder);
  copyFileSync(template, join(folder, 'package.json'));
  const { files } = JSON.parse(readFileSync(template, 'utf8')) as { files: string[] };
  for (const file of files) {
    copyFileSync(join(dirname(availability.path), file), join(folder, file));
  }
  // In a process of its own: the addon is in this one already, from another place.
  const program = `
    const { findNativeBinding } = await import(${JSON.stringify(loader)});
    const found = findNativeBinding({ explicitPath: undefined, packages: [${JSON.stringify(folder)}], localBuild: 'none' });
    console.log(found.path ?? JSON.stringify(found.tried), found.binding?.rocksdbVersion);`;
  const output = execFileSync(process.execPath, ['--input-type=module', '--eval', program], { encoding: 'utf8' });
  assert.equal(output.trim(), `${join(folder, 'flinkjob-rocksdb.node')} ${availability.rocksdbVersion}`);
});
