// The check itself: that it accepts right results, in any order and repeated, and refuses each kind of wrong ones.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KeySequence } from '../jobs/key-sequence.ts';
import { checkVersions } from './check-versions.ts';
import type { VersionSample } from './sink-progress.ts';

const options = { seed: 1, keyCount: 10 };

function rightSamples(recordCount: number): VersionSample[] {
  const keys = new KeySequence(options);
  const versions = new Map<number, number>();
  return Array.from({ length: recordCount }, (_, index) => {
    const key = keys.keyAt(index);
    const version = (versions.get(key) ?? 0) + 1;
    versions.set(key, version);
    return { index, key, version };
  });
}

test('right results are accepted, also from several subtasks and repeated after a restart', () => {
  const samples = rightSamples(50);
  assert.equal(checkVersions([...samples.toReversed(), ...samples.slice(20, 30)], options), 60);
});

test('a lost update, a repeated one and a value of another key are refused', () => {
  const samples = rightSamples(50);
  const last = samples[49] as VersionSample;
  for (const wrong of [
    { ...last, version: last.version - 1 },
    { ...last, version: last.version + 1 },
    { ...last, key: (last.key + 1) % 10 },
  ]) {
    assert.throws(() => checkVersions([...samples.slice(0, 49), wrong], options), /wrong results: record 49/);
  }
});

test('nothing to check is no success', () => {
  assert.throws(() => checkVersions([], options), /no results/);
});
