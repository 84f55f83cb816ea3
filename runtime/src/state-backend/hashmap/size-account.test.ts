// What is counted is compared with what V8 takes: the limit is there so that the task fails by name before the heap is full. Limits and
// what happens at them are in keyed-state-backend.test.ts.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { StateImplementation } from '../../core/job-graph/executable-job.ts';
import { t } from '../../core/types/t.ts';
import type { Type } from '../../core/types/type.ts';
import { listState, mapState, valueState } from '../conformance-fixtures.ts';
import type { KeyedStateBackend } from '../state-backend.ts';
import { createHashmapStateBackendFactory } from './keyed-state-backend.ts';
import { SizeAccount } from './size-account.ts';

setFlagsFromString('--expose_gc');
const collectGarbage = runInNewContext('gc') as () => void;

interface Shape {
  readonly name: string;
  readonly states: readonly StateImplementation[];
  readonly namespaceType?: Type<unknown>;
  readonly keyCount: number;
  readonly put: (backend: KeyedStateBackend, index: number) => void;
}

const ttl = { ttlMs: 1e9, renewedBy: 'Write' } as const;
const visitType: Type<unknown> = t.struct({ page: t.string, tags: t.array(t.string), number: t.int });

const shapes: readonly Shape[] = [
  {
    name: 'a number',
    states: [valueState('value', t.double)],
    keyCount: 40_000,
    put: (backend, index) => backend.value('value').set(index + 0.5),
  },
  {
    name: 'a string cut out of a long one',
    states: [valueState('value', t.string)],
    keyCount: 20_000,
    put: (backend, index) => backend.value('value').set(`${index}`.padEnd(5000, 'x').slice(0, 50)),
  },
  {
    name: 'an object',
    states: [valueState('value', visitType)],
    keyCount: 20_000,
    put: (backend, index) => backend.value('value').set({ page: `/page/${index}`, tags: ['a', 'b'], number: index }),
  },
  {
    name: 'ten states of which each dies',
    states: Array.from({ length: 10 }, (_, place) => valueState(`value${place}`, t.int, { ttl })),
    keyCount: 5_000,
    put: (backend, index) => {
      for (let place = 0; place < 10; place++) {
        backend.value(`value${place}`).set(index);
      }
    },
  },
  {
    name: 'a short list',
    states: [listState('list', t.string)],
    keyCount: 10_000,
    put: (backend) => {
      backend.list('list').add('abc');
      backend.list('list').add('defg');
    },
  },
  {
    name: 'a small map',
    states: [mapState('map', t.string, t.double)],
    keyCount: 10_000,
    put: (backend, index) => {
      for (let place = 0; place < 5; place++) {
        backend.map('map').set(`field ${place}`, index + 0.5);
      }
    },
  },
  {
    name: 'a large map',
    states: [mapState('map', t.string, t.int)],
    keyCount: 40,
    put: (backend, index) => {
      for (let place = 0; place < 1025; place++) {
        backend.map('map').set(`field ${place} of ${index}`, place);
      }
    },
  },
  {
    name: 'three windows',
    states: [valueState('value', t.int, { namespaced: true })],
    namespaceType: t.int,
    keyCount: 10_000,
    put: (backend, index) => {
      for (const start of [0, 10, 20]) {
        backend.setCurrentNamespace(start);
        backend.value('value').set(index);
      }
    },
  },
  {
    name: 'a timer',
    states: [],
    keyCount: 20_000,
    put: (backend, index) => backend.registerTimer('EventTime', 1.7e12 + index),
  },
  {
    name: 'fifty timers',
    states: [],
    keyCount: 1_000,
    put: (backend, index) => {
      for (let place = 0; place < 50; place++) {
        backend.registerTimer('EventTime', 1.7e12 + index + place);
      }
    },
  },
];

for (const shape of shapes) {
  test(`counts of a key with ${shape.name} about what it takes, and rather more`, async () => {
    // The first time pays for compiling, and for what is made once.
    await measure({ ...shape, keyCount: 100 });
    const { takenBytes, countedBytes } = await measure(shape);
    const ratio = countedBytes / takenBytes;
    assert.ok(ratio > 0.9 && ratio < 1.6, `counted ${countedBytes} bytes of ${takenBytes} per key`);
  });
}

test('tells once that there is room again', () => {
  let roomCount = 0;
  const account = new SizeAccount({
    sizeBytesMax: 1_000_000_000,
    onRoom: () => {
      roomCount++;
    },
  });
  account.changePreserved(62_000_000);
  assert.ok(account.hasRoom);
  account.changePreserved(1_000_000);
  assert.ok(!account.hasRoom);
  account.changePreserved(-400_000);
  assert.equal(roomCount, 0);
  account.changePreserved(-400_000);
  account.changePreserved(-400_000);
  assert.ok(account.hasRoom);
  assert.equal(roomCount, 1);
});

/** Per key, in the heap and in buffers outside it. */
async function measure({ states, namespaceType, keyCount, put }: Shape): Promise<{ takenBytes: number; countedBytes: number }> {
  const keyGroups = { first: 0, last: 127 };
  const before = usedBytes();
  const backend = await createHashmapStateBackendFactory({ sizeBytesMax: 1e9 })(
    {
      name: 'measured',
      keyType: t.string,
      namespaceType,
      states,
      timers: true,
      maxParallelism: 128,
      keyGroups,
      nowMs: () => 1.7e12,
      onRoom: () => undefined,
    },
    [],
  );
  for (let index = 0; index < keyCount; index++) {
    backend.setCurrentKey(`key ${index}`);
    put(backend, index);
  }
  return {
    takenBytes: Math.round((usedBytes() - before) / keyCount),
    countedBytes: Math.round(backend.sizeBytes() / keyCount),
  };
}

function usedBytes(): number {
  collectGarbage();
  collectGarbage();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
