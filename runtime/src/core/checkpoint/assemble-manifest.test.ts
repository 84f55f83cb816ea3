// Acknowledgements put together, and what must not become durable.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { wordCountGraph } from '../../../test/fakes/job-graphs.ts';
import { keyGroupRangeOf } from '../key-groups/key-group.ts';
import type { OperatorSubtaskState } from '../protocol/messages.ts';
import { acknowledgedFiles, assembleManifest, manifestFiles, stateSizeBytes } from './assemble-manifest.ts';
import type { CheckpointPurpose, PendingCheckpoint } from './checkpoint-coordinator.ts';
import { encodeManifest, parseManifest } from './manifest-format.ts';
import { namedFiles, relocateManifest } from './relocate-manifest.ts';

const graph = wordCountGraph({ parallelism: 2, sourceParallelism: 1 });

function keyed(subtaskIndex: number, keyGroups = keyGroupRangeOf(subtaskIndex, 2, 128)): OperatorSubtaskState {
  const path = `chk-000003-e1/counts-${subtaskIndex}`;
  const handle = { type: 'file', path, sizeBytes: 50, sha256: '' } as const;
  return {
    uid: 'counts',
    keyed: { backend: 'HashMap', keyGroups, handle, files: [] },
    splits: undefined,
    committables: undefined,
  };
}

function pending(
  overrides: { readonly counts?: readonly OperatorSubtaskState[]; readonly purpose?: CheckpointPurpose } = {},
): PendingCheckpoint {
  const none = { keyed: undefined, splits: undefined, committables: undefined };
  const [first, second] = overrides.counts ?? [keyed(0), keyed(1)];
  const states: readonly (readonly [string, number, OperatorSubtaskState | undefined])[] = [
    ['lines', 0, { uid: 'lines', ...none, splits: [{ splitId: 's', positionBase64: 'AA==' }] }],
    ['counts', 0, first],
    ['counts', 1, second],
    ['out', 0, { uid: 'out', ...none, committables: [{ checkpointId: 3, data: 'a' }] }],
    ['out', 1, { uid: 'out', ...none, committables: [{ checkpointId: 3, data: 'b' }] }],
  ];
  return {
    ...{
      id: 3,
      token: { epoch: 1, executionAttempt: 2 },
      purpose: overrides.purpose ?? 'Periodic',
      operationId: undefined,
      triggeredAtMs: 5,
    },
    subtaskCount: states.length,
    acknowledgements: new Map(
      states.map(([vertexId, subtaskIndex, state]) => [
        `${vertexId}#${subtaskIndex}`,
        { task: { vertexId, subtaskIndex }, operators: state === undefined ? [] : [state] },
      ]),
    ),
  };
}

test('files that have been acknowledged are known before the manifest is', () => {
  const all = pending();
  const acknowledgements = new Map([...all.acknowledgements].filter(([key]) => key !== 'counts#1'));
  assert.deepEqual(acknowledgedFiles({ ...all, acknowledgements }), ['chk-000003-e1/counts-0']);
  assert.deepEqual(
    acknowledgedFiles(all),
    manifestFiles(assembleManifest(graph, all)).map(({ path }) => path),
  );
});

test('the states of all subtasks are put together by operator', () => {
  const manifest = assembleManifest(graph, pending());
  const [lines, counts, out] = manifest.operators;
  assert.deepEqual(
    lines?.splits?.map(({ splitId }) => splitId),
    ['s'],
  );
  assert.deepEqual(
    counts?.keyed?.parts.map(({ keyGroups }) => keyGroups),
    [
      { first: 0, last: 63 },
      { first: 64, last: 127 },
    ],
  );
  assert.deepEqual(
    out?.committables?.map(({ data }) => data),
    ['a', 'b'],
  );
  assert.deepEqual([manifest.checkpointId, manifest.epoch, manifest.executionAttempt, manifest.kind], [3, 1, 2, 'Checkpoint']);
});

test('watermark floors of all subtasks and the broadcast state of subtask 0 are kept with their operator', () => {
  const floor = (subtaskIndex: number, watermarkMs: number) => ({
    keyGroups: keyGroupRangeOf(subtaskIndex, 2, 128),
    watermarkMs,
  });
  const states = [{ name: 'rules', stateType: 'map', mapKeyType: { type: 'int' }, valueType: { type: 'int' } }] as const;
  const handle = { type: 'file', path: 'chk-000003-e1/counts-broadcast', sizeBytes: 7, sha256: '' } as const;
  const withBroadcast = wordCountGraph({ parallelism: 2, sourceParallelism: 1, broadcast: { states } });
  const counts = [
    { ...keyed(0), watermarkFloors: [floor(0, 5)], broadcast: handle },
    { ...keyed(1), watermarkFloors: [floor(1, 9)] },
  ];
  const manifest = assembleManifest(withBroadcast, pending({ counts }));
  const state = manifest.operators.find(({ uid }) => uid === 'counts');
  assert.deepEqual(state?.keyed?.watermarkFloors, [floor(0, 5), floor(1, 9)]);
  assert.deepEqual(state?.broadcast, { states, handle, describesValues: true });
  assert.equal(stateSizeBytes(manifest), 107);
  assert.deepEqual(parseManifest(encodeManifest(manifest), 'm'), JSON.parse(JSON.stringify(manifest)));
  assert.throws(() => assembleManifest(withBroadcast, pending()), /acknowledged its broadcast state/);
});

test('operator state of all subtasks is kept with its operator, and its files count and move with the others', () => {
  const states = [{ name: 'pending', stateType: 'list', elementType: { type: 'int' }, redistribution: 'Split' }] as const;
  const part = (subtaskIndex: number, count: number) => ({
    handle: { type: 'file', path: `chk-000003-e1/counts-${subtaskIndex}-lists`, sizeBytes: 7, sha256: '' } as const,
    elementCounts: [{ state: 'pending', count }],
  });
  const withLists = wordCountGraph({ parallelism: 2, sourceParallelism: 1, operatorLists: { states } });
  const counts = [
    { ...keyed(0), operatorLists: part(0, 3) },
    { ...keyed(1), operatorLists: part(1, 0) },
  ];
  const all = pending({ counts });
  const manifest = assembleManifest(withLists, all);
  assert.deepEqual(manifest.operators.find(({ uid }) => uid === 'counts')?.operatorLists, {
    states,
    parts: [part(0, 3), part(1, 0)],
  });
  assert.equal(stateSizeBytes(manifest), 114);
  assert.deepEqual(parseManifest(encodeManifest(manifest), 'm'), JSON.parse(JSON.stringify(manifest)));
  const lists = ['chk-000003-e1/counts-0-lists', 'chk-000003-e1/counts-1-lists'];
  for (const paths of [acknowledgedFiles(all), namedFiles(manifest).map(({ path }) => path)]) {
    assert.deepEqual(
      paths.filter((path) => path.endsWith('-lists')),
      lists,
    );
  }
  const moved = relocateManifest(manifest, ({ path }) => `files/${path.split('/')[1]}`);
  assert.deepEqual(
    manifestFiles(moved).map(({ path }) => path),
    ['files/counts-0', 'files/counts-1', 'files/counts-0-lists', 'files/counts-1-lists'],
  );
  assert.throws(() => assembleManifest(withLists, pending()), /subtask 0 acknowledged its operator state/);
});

test('what was asked for as savepoint, by itself or with a stop, is one', () => {
  const kinds = (['Periodic', 'Savepoint', 'Stop', 'Final'] as const).map(
    (purpose) => assembleManifest(graph, pending({ purpose })).kind,
  );
  assert.deepEqual(kinds, ['Checkpoint', 'Savepoint', 'Savepoint', 'Checkpoint']);
});

test('a missing, overlapping or short range of key groups never becomes a manifest', () => {
  const wrong: readonly (readonly OperatorSubtaskState[])[] = [
    [keyed(0)],
    [keyed(0), keyed(0)],
    [keyed(0), keyed(1, { first: 64, last: 126 })],
    [keyed(0), keyed(1, { first: 65, last: 127 })],
  ];
  for (const counts of wrong) {
    assert.throws(() => assembleManifest(graph, pending({ counts })), /counts: the parts/);
  }
});

test('an incomplete checkpoint never becomes a manifest', () => {
  assert.throws(() => assembleManifest(graph, { ...pending(), subtaskCount: 6 }), /every subtask/);
});

test('a manifest names its files and their size', () => {
  const manifest = assembleManifest(graph, pending());
  assert.equal(stateSizeBytes(manifest), 100);
  assert.deepEqual(
    manifestFiles(manifest).map(({ path }) => path),
    ['chk-000003-e1/counts-0', 'chk-000003-e1/counts-1'],
  );
});

test('a manifest is read back as it was written; a newer format and other JSON are refused by name', () => {
  const manifest = assembleManifest(graph, pending());
  assert.deepEqual(parseManifest(encodeManifest(manifest), 'm'), JSON.parse(JSON.stringify(manifest)));
  const bytes = (text: string) => new TextEncoder().encode(text);
  assert.throws(() => parseManifest(bytes('{"format":3}'), 'chk/m'), { code: 'ManifestFormatTooNew', message: /chk\/m/ });
  assert.throws(() => parseManifest(bytes('{}'), 'chk/m'), { code: 'ManifestCorrupt' });
  assert.throws(() => parseManifest(bytes('{'), 'chk/m'), { code: 'ManifestCorrupt' });
});
