// Values that do not say what form they have, because they were written in version 1 of the format, and forms that have run out. What a restore gives after a
// change of type is in ../conformance-evolution.ts.
import assert from 'node:assert/strict';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { StateImplementation } from '../../core/job-graph/executable-job.ts';
import { BinaryReader } from '../../core/types/binary-reader.ts';
import { t } from '../../core/types/t.ts';
import type { Type } from '../../core/types/type.ts';
import { listState, mapState, StateDirectories, valueState } from '../conformance-fixtures.ts';
import type { KeyedStateBackend, RestoredPart } from '../state-backend.ts';
import { createRocksDbStateBackendFactory } from './keyed-state-backend.ts';
import { loadNativeBinding, nativeBindingAvailability } from './native-loader.ts';
import { decodeStatePart, encodeStatePart, type StatePart } from './state-part.ts';
import { assignForms } from './value-forms.ts';

const keyGroups = { first: 0, last: 127 };
const named = t.struct({ name: t.field(1, t.string) }) as Type<unknown>;
const aged = t.struct({ name: t.field(1, t.string), age: t.field(2, t.int, { default: 7 }) }) as Type<unknown>;
const statesOf = (type: Type<unknown>): readonly StateImplementation[] => [
  valueState('value', type),
  listState('list', type),
  mapState('map', t.string as Type<unknown>, type),
  valueState('mortal', type, { ttl: { ttlMs: 1e9, renewedBy: 'Write' } }),
];

function fill(backend: KeyedStateBackend, value: unknown): void {
  backend.setCurrentKey('k');
  backend.value('value').set(value);
  backend.list('list').set([value, value]);
  backend.map('map').set('m', value);
  backend.value('mortal').set(value);
}

function contentOf(backend: KeyedStateBackend): unknown {
  backend.setCurrentKey('k');
  return [
    backend.value('value').get(),
    backend.list('list').get(),
    [...backend.map('map').entries()],
    backend.value('mortal').get(),
  ];
}

/** A struct of one string has the bytes of the string, so a part of strings is a part of structs that say no form, when its header says so. */
function asStructsOfVersion1(part: RestoredPart): RestoredPart {
  const decoded = decodeStatePart(part.bytes);
  assert.equal(versionOf(part), 1);
  const states = statesOf(named).map(({ declaration }) => declaration);
  const { valueForms: _, ...rest } = decoded;
  return { ...part, bytes: encodeStatePart({ ...rest, declarations: { ...decoded.declarations, states } }) };
}

function versionOf({ bytes }: RestoredPart): number {
  return new BinaryReader(bytes, 4).readUint32();
}

describe('values without a form', {
  skip: nativeBindingAvailability().state === 'Missing' && 'the RocksDB addon is not built',
}, () => {
  test('stay as they are while their type does, and are written anew when it changes', async () => {
    const directories = await StateDirectories.create({ isFast: true });
    try {
      const working = await directories.createWorkingDirectory();
      const create = createRocksDbStateBackendFactory({
        binding: loadNativeBinding(),
        memory: { capacityBytes: 32 * 1024 * 1024, writeBufferBytes: 8 * 1024 * 1024 },
        allocateDirectory: async (name) => {
          const path = join(working, name);
          await mkdir(path);
          return { path, release: () => rm(path, { recursive: true, force: true }) };
        },
      });
      let number = 0;
      const open = (type: Type<unknown>, parts: readonly RestoredPart[]): Promise<KeyedStateBackend> =>
        create(
          {
            ...{ name: `forms-${number++}`, keyType: t.string as Type<unknown>, namespaceType: undefined, timers: false },
            ...{ states: statesOf(type), maxParallelism: 128, keyGroups, nowMs: () => 0, onRoom: () => {} },
          },
          parts,
        );
      const checkpointAndClose = async (backend: KeyedStateBackend): Promise<RestoredPart> => {
        const part = await directories.toRestoredPart(await backend.snapshot().write(directories.createTarget()), keyGroups);
        await backend.close();
        return part;
      };
      const strings = await open(t.string as Type<unknown>, []);
      fill(strings, 'x');
      const old = asStructsOfVersion1(await checkpointAndClose(strings));
      const same = await open(named, [old]);
      const x = { name: 'x' };
      assert.deepEqual(contentOf(same), [x, [x, x], [['m', x]], x]);
      const stillOld = await checkpointAndClose(same);
      assert.equal(versionOf(stillOld), 1);
      const changed = await open(aged, [stillOld]);
      const x7 = { name: 'x', age: 7 };
      assert.deepEqual(contentOf(changed), [x7, [x7, x7], [['m', x7]], x7]);
      const withForms = await checkpointAndClose(changed);
      assert.equal(versionOf(withForms), 2);
      const again = await open(named, [withForms]);
      assert.deepEqual(contentOf(again), [x, [x, x], [['m', x]], x]);
      await again.close();
    } finally {
      await directories.remove();
    }
  });

  test('are what is left to a state whose type has changed more often than one byte can tell', () => {
    const state = valueState('value', aged);
    const part = (formCount: number): StatePart => ({
      declarations: {
        keyGroupHash: '',
        maxParallelism: 128,
        keyType: t.string.descriptor,
        states: [valueState('value', named).declaration],
      },
      ...{ keyGroups, stateIds: [1], nextStateId: 2, nextListSequence: 0, rocksdbVersion: '', files: [] },
      valueForms: [Array.from({ length: formCount }, () => named.descriptor)],
    });
    const last = assignForms([state], part(254));
    assert.equal(last.byName.get('value')?.length, 255);
    assert.equal(last.rewrites.size, 0);
    const over = assignForms([state], part(255));
    assert.deepEqual(over.byName.get('value'), [aged.descriptor]);
    assert.deepEqual([...over.rewrites.keys()], ['value']);
  });
});
