// The standing of each object (promise 8 seen from outside), one table per question. Reading and deleting is tested with the janitor.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LineageBuilder } from '../../../test/fakes/lineage-builder.ts';
import { type AccountInput, accountObjects, type ObjectStanding } from './account-objects.ts';

const hash = 'cd'.repeat(32);

function input(builder: LineageBuilder, paths: readonly string[], overrides: Partial<AccountInput> = {}): AccountInput {
  const filesOf = new Map(
    builder.view.checkpoints.map(({ manifest }) => [
      manifest.path,
      [manifest, { path: manifest.path.replace('_metadata', 'state'), sizeBytes: 7 }],
    ]),
  );
  return {
    ...{
      view: builder.view,
      firstNumber: 1,
      trimmedBelow: 1,
      filesOf,
      nowMs: 10_000_000,
      graceMs: 1_000,
      youngMs: 1_000,
      isUnattended: false,
    },
    objects: paths.map((path) => ({ path, sizeBytes: path.endsWith('_metadata') ? 10 : 7, modifiedAtMs: 0 })),
    ...overrides,
  };
}

const opened = () => new LineageBuilder().open().complete(1).complete(2, { kind: 'Savepoint' });

const standings: readonly (readonly [path: string, standing: ObjectStanding, of: (builder: LineageBuilder) => unknown])[] = [
  ['chk-000001-e1/state', 'Referenced', () => {}],
  ['savepoints/000002-e1/state', 'Kept', () => {}],
  [
    'savepoints/000002-e1/state',
    'Referenced',
    (it) => it.append({ type: 'SavepointReleased', savepoint: 'savepoints/000002-e1/_metadata' }),
  ],
  [
    'chk-000001-e1/state',
    'Kept',
    (it) => it.append({ type: 'Pinned', pinId: 'p', checkpoint: 'chk-000001-e1/_metadata', for: 'f' }),
  ],
  ['chk-000003-e1/state', 'Open', () => {}],
  ['chk-000003-e1/state', 'Garbage', (it) => it.open({ attempt: { number: 2, token: 'b' } })],
  [
    'chk-000003-e1/state',
    'Garbage',
    (it) => it.append({ type: 'Closed', reason: 'Finished', checkpointId: 1, operationId: undefined }),
  ],
  [`shared/e1-${hash}.sst`, 'Open', () => {}],
  [`shared/e2-${hash}.sst`, 'Open', () => {}],
  [`shared/e1-${hash}.sst`, 'Garbage', (it) => it.open({ attempt: { number: 2, token: 'b' } })],
  ['lineage/00000000000000000001.json', 'Log', () => {}],
  ['probe/1', 'Garbage', () => {}],
  ['shared/notes', 'Unproven', () => {}],
  // Condemned, and forgotten by everybody since.
  ['chk-000001-e1/old', 'Garbage', (it) => it.condemn('chk-000001-e1/old')],
];
for (const [path, standing, change] of standings) {
  test(`${path} is ${standing}: ${change.toString().replace(/^\(.*?\) => /, '')}`, () => {
    const builder = opened();
    change(builder);
    assert.deepEqual(
      accountObjects(input(builder, [path])).objects.map((object) => object.standing),
      [standing],
    );
  });
}

test('what is young is nothing but young, whoever made it; what is condemned waits for its grace', () => {
  const builder = opened().condemn('chk-000001-e1/old');
  const young = input(builder, ['chk-000009-e1/state', 'chk-000001-e1/old'], { nowMs: builder.nowMs + 500 });
  const objects = young.objects.map((object) => ({ ...object, modifiedAtMs: builder.nowMs }));
  assert.deepEqual(
    accountObjects({ ...young, objects }).objects.map(({ standing }) => standing),
    ['Young', 'Condemned'],
  );
});

test('entries below where the log begins are garbage, those that are cut off above it are not explained', () => {
  const builder = opened();
  const view = { ...builder.view, oldestNumber: 3 };
  const paths = [1, 2, 3, 5].map((number) => `lineage/0000000000000000000${number}.json`);
  assert.deepEqual(
    accountObjects({ ...input(builder, paths), view, firstNumber: 5, trimmedBelow: 2 }).objects.map(({ standing }) => standing),
    ['Garbage', 'Condemned', 'Unproven', 'Log'],
  );
});

test('files that are gone or have another size are named with who names them', () => {
  const builder = opened();
  const whole = [
    'chk-000001-e1/_metadata',
    'chk-000001-e1/state',
    'savepoints/000002-e1/_metadata',
    'savepoints/000002-e1/state',
  ];
  assert.deepEqual(accountObjects(input(builder, whole)).missing, []);
  const damaged = input(builder, whole.slice(0, 3)).objects.map((object) =>
    object.path === 'chk-000001-e1/state' ? { ...object, sizeBytes: 3 } : object,
  );
  assert.deepEqual(accountObjects({ ...input(builder, []), objects: damaged }).missing, [
    { path: 'chk-000001-e1/state', sizeBytes: 7, foundSizeBytes: 3, namedBy: 'chk-000001-e1/_metadata' },
    { path: 'savepoints/000002-e1/state', sizeBytes: 7, foundSizeBytes: undefined, namedBy: 'savepoints/000002-e1/_metadata' },
  ]);
});

test('while a manifest cannot be read nobody knows what it names', () => {
  const builder = opened().open({ attempt: { number: 2, token: 'b' } });
  const filesOf = new Map([...input(builder, []).filesOf, ['chk-000001-e1/_metadata', undefined] as const]);
  assert.deepEqual(
    accountObjects(input(builder, ['chk-000003-e1/state'], { filesOf })).objects.map(({ standing }) => standing),
    ['Unproven'],
  );
});

test('a file that tasks restored and may name again is not garbage while only a savepoint of rows was completed since', () => {
  const shared = `shared/e1-${hash}.sst`;
  const builder = opened().open({ attempt: { number: 2, token: 'b' } });
  const standing = () => accountObjects(input(builder, [shared])).objects[0]?.standing;
  const restored = 'savepoints/000002-e1/_metadata';
  // Names no tables, and is the head from here on: the restore source may go, and what it alone named is asked for first.
  builder.complete(3, { kind: 'Savepoint' }).append({ type: 'SavepointReleased', savepoint: restored });
  builder.condemn(restored);
  assert.equal(standing(), 'Open');
  // Its tables are all that the tasks have.
  builder.complete(4);
  assert.equal(standing(), 'Garbage');
});
