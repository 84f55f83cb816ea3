// Where the addon is looked for. What it does is tested in runtime/native/test.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { JobError } from '../../core/job-error.ts';
import { findNativeBinding, loadNativeBinding, nativeBindingAvailability } from './native-loader.ts';

const folder = mkdtempSync(join(tmpdir(), 'flinkjob-native-loader-'));
after(() => rmSync(folder, { recursive: true, force: true }));

function module(name: string, content: string): string {
  const file = join(folder, name);
  writeFileSync(file, content);
  return file;
}

const working = module('working.cjs', "exports.rocksdbVersion = '1.2.3';");
const broken = module('broken.node', 'not a shared library');

test('an explicit path is the only place that is tried', () => {
  const found = findNativeBinding({ explicitPath: join(folder, 'absent.node'), packages: [working], localBuild: working });
  assert.deepEqual(found, { tried: [{ place: join(folder, 'absent.node'), reason: 'not there' }] });
});

test('a package comes before the local build', () => {
  const found = findNativeBinding({
    explicitPath: undefined,
    packages: ['@flinkjob/native-absent', working],
    localBuild: broken,
  });
  assert.ok('path' in found);
  assert.equal(found.path, working);
});

test('the path of an addon is that of its build, and not the link that leads to the current one', () => {
  mkdirSync(join(folder, 'first'));
  const addon = module('first/addon.cjs', "exports.rocksdbVersion = 'first';");
  symlinkSync('first', join(folder, 'current'));
  const found = findNativeBinding({ explicitPath: undefined, packages: [], localBuild: join(folder, 'current', 'addon.cjs') });
  assert.ok('path' in found);
  assert.equal(found.path, addon);
});

test('an addon that is there and does not load says why', () => {
  const found = findNativeBinding({ explicitPath: undefined, packages: [], localBuild: broken });
  assert.ok('tried' in found);
  assert.match(found.tried[0]?.reason ?? '', /broken\.node/);
});

test('what this machine has is loaded, or refused with all places and the fallback', () => {
  const availability = nativeBindingAvailability();
  if (availability.state === 'Available') {
    assert.equal(loadNativeBinding().rocksdbVersion, availability.rocksdbVersion);
    return;
  }
  assert.throws(loadNativeBinding, (error) => {
    assert.ok(error instanceof JobError);
    assert.equal(error.code, 'RocksDbNotAvailable');
    assert.ok(availability.tried.every(({ place }) => error.message.includes(place)));
    assert.match(error.remedy ?? '', /state\.backend: HashMap/);
    return true;
  });
});
