// The form of entries: what is written is read back the same, and what is broken or newer is refused by file and field.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { LineageBuilder } from '../../../test/fakes/lineage-builder.ts';
import { encodeEntry, type LineageEntry, parseEntry } from './entries.ts';

const path = 'lineage/00000000000000000007.json';
const outcome = { operationId: 'op', operationType: 'Savepoint' } as const;

/** One of each type, with and without what is optional. */
function everyEntry(): readonly LineageEntry[] {
  const manifest = { path: 'savepoints/000009-e1/_metadata', sizeBytes: 3, sha256: 'ff' };
  const savepoint = { owner: 'cluster-a/default/job', stateFormat: 'Canonical', reason: 'before the upgrade' } as const;
  const imported = { type: 'Imported', checkpointId: 9, manifest, stateSizeBytes: 4, from: 's3://elsewhere' } as const;
  const fork = { from: 'Import', url: 's3://elsewhere', token: 'fork' } as const;
  return new LineageBuilder()
    .open()
    .complete(1)
    .complete(2, { kind: 'Savepoint', operationId: 'save', savepoint })
    .append({ type: 'Stopping', operationId: 'stop', deadlineMs: 99, stateFormat: 'Canonical' })
    .append({ type: 'Pinned', pinId: 'pin', checkpoint: 'chk-000001-e1/_metadata', for: 'green' })
    .open({ attempt: { number: 2, token: 'two' }, podUid: 'pod-2', restore: { from: 'Path', path: 'chk-000001-e1', token: 't' } })
    .append({ type: 'StopAborted', operationId: 'stop', reason: 'deadline' })
    .append({ type: 'Unpinned', pinId: 'pin' })
    .append({ type: 'SavepointReleased', savepoint: 'savepoints/000002-e1/_metadata' })
    .append(imported)
    .open({ attempt: { number: 3, token: 'three' }, restore: fork })
    .append({ ...imported, kind: 'Checkpoint', sourceCheckpointId: 3, pinId: 'pin', restoreToken: 'fork', savepoint })
    .open({ attempt: { number: 4, token: 'four' } })
    .condemn('chk-000001-e1/_metadata', 'chk-000001-e1/state')
    .append({ type: 'Outcome', ...outcome, result: { state: 'Completed', checkpointId: 2, path: undefined } })
    .append({ type: 'Outcome', ...outcome, result: { state: 'Failed', code: 'Why', message: 'because' } })
    .append({ type: 'Closed', reason: 'StoppedWithSavepoint', checkpointId: 2, operationId: 'stop' })
    .append({ type: 'Purged', attempt: { number: 2, token: 'two' }, honouredRestoreTokens: ['t'], nextCheckpointId: 10 }).entries;
}

test('every type of entry is read back as it was written', () => {
  const entries = everyEntry();
  for (const entry of entries) {
    // Fields that are undefined are left out on disk.
    assert.deepEqual(parseEntry(encodeEntry(entry), path), entry);
  }
  assert.deepEqual(new Set(entries.map(({ type }) => type)).size, 12);
});

test('equal entries have equal bytes, whatever the order of their fields', () => {
  for (const entry of everyEntry()) {
    const reversed = Object.fromEntries(Object.entries(entry).reverse()) as unknown as LineageEntry;
    assert.deepEqual(encodeEntry(reversed), encodeEntry(entry));
  }
});

test('a byte sequence of format 1 is read as ever', () => {
  const stored =
    '{"checkpointId":117,"epoch":7,"format":1,"kind":"Checkpoint","manifest":{"path":"chk-000117-e7/_metadata","sha256":"00ff","sizeBytes":812},' +
    '"nonce":"n","number":42,"oldestNumber":3,"stateSizeBytes":4096,"triggeredAtMs":1700000000000,"type":"Completed","writtenAtMs":1700000000500}\n';
  const entry = parseEntry(new TextEncoder().encode(stored), path);
  assert.deepEqual(entry, {
    format: 1,
    number: 42,
    nonce: 'n',
    epoch: 7,
    writtenAtMs: 1_700_000_000_500,
    oldestNumber: 3,
    type: 'Completed',
    checkpointId: 117,
    kind: 'Checkpoint',
    manifest: { path: 'chk-000117-e7/_metadata', sizeBytes: 812, sha256: '00ff' },
    stateSizeBytes: 4096,
    triggeredAtMs: 1_700_000_000_000,
    operationId: undefined,
  });
  assert.equal(new TextDecoder().decode(encodeEntry(entry)), stored);
});

describe('what cannot be trusted is refused, and the error names the file and the field', () => {
  const [opened, completed] = everyEntry();
  const cases: readonly (readonly [string, unknown, RegExp])[] = [
    ['no JSON', undefined, /is not JSON/],
    ['no object', [], /the content is not an object/],
    ['no format', { ...completed, format: undefined }, /field format is missing/],
    ['a number below one', { ...completed, number: 0 }, /field number is not a whole number from 1 on/],
    ['a fraction', { ...completed, epoch: 1.5 }, /field epoch is not a whole number/],
    ['an unknown type', { ...completed, type: 'Complete' }, /field type is none of Opened, Completed/],
    ['an unknown field', { ...completed, extra: 1 }, /field extra is unknown/],
    [
      'an unknown field inside',
      { ...completed, manifest: { path: 'p', sizeBytes: 1, sha256: 'x', md5: 'y' } },
      /field manifest.md5 is unknown/,
    ],
    ['a field missing inside', { ...completed, manifest: { path: 'p', sizeBytes: 1 } }, /field manifest.sha256 is missing/],
    [
      'a wrong element',
      { ...opened, carried: { ...carriedOf(opened), checkpoints: [3] } },
      /field carried.checkpoints\[0\] is not an object/,
    ],
    [
      'a latest that it does not carry',
      { ...opened, carried: { ...carriedOf(opened), latest: 'chk-000009-e1/_metadata' } },
      /field carried.latest/,
    ],
  ];
  for (const [name, content, message] of cases) {
    test(name, () => {
      const bytes = new TextEncoder().encode(content === undefined ? '{"cut' : JSON.stringify(content));
      assert.throws(() => parseEntry(bytes, path), { code: 'LineageEntryCorrupt', message });
      assert.throws(() => parseEntry(bytes, path), { message: new RegExp(path) });
    });
  }

  test('a newer format, without looking further', () => {
    const bytes = new TextEncoder().encode('{"format":2,"anything":true}');
    assert.throws(() => parseEntry(bytes, path), { code: 'LineageFormatTooNew', message: /format 2.*up to 1/ });
  });

  function carriedOf(entry: LineageEntry | undefined): object {
    assert.equal(entry?.type, 'Opened');
    return entry.type === 'Opened' ? entry.carried : {};
  }
});
