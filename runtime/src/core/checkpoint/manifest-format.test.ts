import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { OperatorState } from './manifest.ts';
import { manifestFormatOf, parseManifest } from './manifest-format.ts';

test('a manifest has the lowest format whose readers know all of it', () => {
  const plain = { uid: 'counts' } as OperatorState;
  assert.equal(manifestFormatOf([plain]), 1);
  assert.equal(manifestFormatOf([plain, { ...plain, operatorLists: { states: [], parts: [] } }]), 2);
});

test('every format up to the newest is read', () => {
  for (const format of [1, 2]) {
    assert.equal(parseManifest(new TextEncoder().encode(JSON.stringify({ format, operators: [] })), 'm').format, format);
  }
});
