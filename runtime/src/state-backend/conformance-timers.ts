import assert from 'node:assert/strict';
import { test } from 'node:test';
import { maxTimestampMs, minTimestampMs } from '../core/time/event-time.ts';
import { t } from '../core/types/t.ts';
import {
  assertJobError,
  type BackendFixture,
  fireAll,
  keyBytes,
  keyGroup,
  keyTypes,
  windowType,
} from './conformance-backends.ts';

/** Timers of both time domains. */
export function testTimers(fixture: BackendFixture): void {
  for (const domain of ['ProcessingTime', 'EventTime'] as const) {
    test(`fires due timers of ${domain}, earliest first, with their key and namespace current, and each once`, async () => {
      const backend = await fixture.open();
      for (const [name, start, timestampMs] of [
        ['a', 1, 30],
        ['b', 1, 10],
        ['a', 2, 20],
        ['c', 1, 40],
      ] as const) {
        backend.setCurrentKey(name);
        backend.setCurrentNamespace({ start, end: 9 });
        backend.value('count').set(timestampMs);
        backend.value('windowCount').set(timestampMs);
        backend.registerTimer(domain, timestampMs);
        backend.registerTimer(domain, timestampMs);
      }
      assert.equal(backend.nextTimerMs(domain), 10);
      const seen: unknown[] = [];
      const firedCount = backend.fireTimers(domain, 30, 100, (timer) => {
        seen.push([timer, backend.value('count').get(), backend.value('windowCount').get()]);
      });
      const timer = (key: string, start: number, timestampMs: number): object => ({
        domain,
        timestampMs,
        key,
        namespace: { start, end: 9 },
      });
      assert.deepEqual(seen, [
        [timer('b', 1, 10), 10, 10],
        [timer('a', 2, 20), 20, 20],
        [timer('a', 1, 30), 20, 30],
      ]);
      assert.equal(firedCount, 3);
      assert.equal(backend.nextTimerMs(domain), 40);
      assert.deepEqual(fireAll(backend, domain, 30), []);
    });
  }

  test('keeps the two time domains apart', async () => {
    const backend = await fixture.open({ namespaceType: undefined, states: [] });
    backend.setCurrentKey('a');
    backend.registerTimer('ProcessingTime', 5);
    backend.registerTimer('EventTime', 5);
    backend.registerTimer('EventTime', 7);
    backend.deleteTimer('ProcessingTime', 7);
    assert.equal(backend.nextTimerMs('ProcessingTime'), 5);
    assert.deepEqual(fireAll(backend, 'EventTime'), [
      { domain: 'EventTime', timestampMs: 5, key: 'a', namespace: undefined },
      { domain: 'EventTime', timestampMs: 7, key: 'a', namespace: undefined },
    ]);
    assert.equal(backend.nextTimerMs('EventTime'), undefined);
    assert.equal(backend.nextTimerMs('ProcessingTime'), 5);
  });

  test('fires timers of one time in the order of key group, key and namespace', async () => {
    const backend = await fixture.open();
    const expected: { key: string; start: number }[] = [];
    for (let number = 0; number < 300; number++) {
      // In no order, and with several keys in most key groups.
      const key = `key ${(number * 37) % 300}`;
      for (const start of [5, -5, 300]) {
        expected.push({ key, start });
        backend.setCurrentKey(key);
        backend.setCurrentNamespace({ start, end: 0 });
        backend.registerTimer('EventTime', 1000);
      }
    }
    expected.sort(
      (a, b) =>
        keyGroup(a.key) - keyGroup(b.key) ||
        Buffer.compare(keyBytes(t.string, a.key), keyBytes(t.string, b.key)) ||
        Buffer.compare(keyBytes(windowType, { start: a.start, end: 0 }), keyBytes(windowType, { start: b.start, end: 0 })),
    );
    const restored = await fixture.reopen(backend);
    for (const candidate of [backend, restored]) {
      const fired = fireAll(candidate, 'EventTime').map(({ key, namespace }) => ({
        key,
        start: (namespace as { start: number }).start,
      }));
      assert.deepEqual(fired, expected);
    }
  });

  for (const { typeName, type, keys } of keyTypes) {
    test(`gives the keys of fired timers as they were, of type ${typeName}`, async () => {
      const options = { keyType: type, namespaceType: type, states: [] };
      const backend = await fixture.open(options);
      for (const [index, key] of keys.entries()) {
        backend.setCurrentKey(key);
        backend.setCurrentNamespace(keys[keys.length - 1 - index]);
        backend.registerTimer('EventTime', index);
      }
      for (const candidate of [backend, await fixture.reopen(backend, options)]) {
        const fired = fireAll(candidate, 'EventTime');
        assert.deepEqual(
          fired.map(({ key }) => key),
          keys,
        );
        assert.deepEqual(
          fired.map(({ namespace }) => namespace),
          [...keys].reverse(),
        );
      }
    });
  }

  test('fires no more timers than asked for', async () => {
    const backend = await fixture.open();
    backend.setCurrentKey('a');
    backend.setCurrentNamespace({ start: 0, end: 1 });
    for (const timestampMs of [3, 1, 2]) {
      backend.registerTimer('ProcessingTime', timestampMs);
    }
    const seen: number[] = [];
    const fire = (countMax: number): number =>
      backend.fireTimers('ProcessingTime', 10, countMax, ({ timestampMs }) => seen.push(timestampMs));
    assert.equal(fire(0), 0);
    assert.equal(fire(2), 2);
    assert.deepEqual(seen, [1, 2]);
    assert.equal(fire(2), 1);
    assert.deepEqual(seen, [1, 2, 3]);
  });

  test('deletes a timer of the current key and namespace only', async () => {
    const backend = await fixture.open();
    for (const key of ['a', 'b']) {
      for (const start of [1, 2]) {
        backend.setCurrentKey(key);
        backend.setCurrentNamespace({ start, end: 9 });
        backend.registerTimer('EventTime', 10);
      }
    }
    backend.deleteTimer('EventTime', 10);
    backend.deleteTimer('EventTime', 99);
    backend.setCurrentKey('nobody');
    backend.deleteTimer('EventTime', 10);
    const left = fireAll(backend, 'EventTime').map(({ key, namespace }) => `${key} ${(namespace as { start: number }).start}`);
    assert.deepEqual([...left].sort(), ['a 1', 'a 2', 'b 1']);
    assert.equal(backend.nextTimerMs('EventTime'), undefined);
  });

  test('lets a firing timer register and delete timers, due ones included', async () => {
    const backend = await fixture.open({ namespaceType: undefined, states: [] });
    backend.setCurrentKey('a');
    backend.registerTimer('EventTime', 1);
    backend.registerTimer('EventTime', 5);
    backend.setCurrentKey('b');
    backend.registerTimer('EventTime', 6);
    const seen: string[] = [];
    backend.fireTimers('EventTime', 10, 100, ({ key, timestampMs }) => {
      seen.push(`${key} ${timestampMs}`);
      if (timestampMs === 1) {
        backend.deleteTimer('EventTime', 5);
        backend.registerTimer('EventTime', 7);
        backend.registerTimer('EventTime', 1);
        backend.registerTimer('EventTime', 11);
        backend.deleteTimer('EventTime', 1);
        backend.setCurrentKey('b');
        backend.deleteTimer('EventTime', 6);
        backend.registerTimer('EventTime', 3);
      }
    });
    assert.deepEqual(seen, ['a 1', 'b 3', 'a 7']);
    assert.equal(backend.nextTimerMs('EventTime'), 11);
  });

  test('goes on after a timer whose function throws, without the timer', async () => {
    const backend = await fixture.open({ namespaceType: undefined, states: [] });
    backend.setCurrentKey('a');
    backend.registerTimer('EventTime', 1);
    backend.registerTimer('EventTime', 2);
    assert.throws(
      () =>
        backend.fireTimers('EventTime', 9, 9, () => {
          throw new Error('not today');
        }),
      /not today/u,
    );
    assert.deepEqual(
      fireAll(backend, 'EventTime').map(({ timestampMs }) => timestampMs),
      [2],
    );
  });

  test('keeps timers in order, however many and however they come and go', async () => {
    const options = { namespaceType: undefined, states: [] };
    const backend = await fixture.open(options);
    const expected = new Map<string, number>();
    for (let number = 0; number < 5000; number++) {
      const key = `key ${(number * 31) % 700}`;
      const timestampMs = (number * 7919) % 3001;
      backend.setCurrentKey(key);
      backend.registerTimer('EventTime', timestampMs);
      expected.set(`${key} ${timestampMs}`, timestampMs);
      if (number % 3 === 0) {
        backend.deleteTimer('EventTime', timestampMs);
        expected.delete(`${key} ${timestampMs}`);
      }
    }
    const restored = await fixture.reopen(backend, options);
    const times = [...expected.values()].sort((a, b) => a - b);
    for (const candidate of [backend, restored]) {
      assert.equal(candidate.nextTimerMs('EventTime'), times[0]);
      const fired = [...fireAll(candidate, 'EventTime', 1500), ...fireAll(candidate, 'EventTime')];
      assert.deepEqual(
        fired.map(({ timestampMs }) => timestampMs),
        times,
      );
      assert.deepEqual(new Set(fired.map(({ key, timestampMs }) => `${key} ${timestampMs}`)), new Set(expected.keys()));
    }
  });

  test('takes every time there is, and keeps overdue timers over a restore', async () => {
    const options = { namespaceType: undefined, states: [] };
    const backend = await fixture.open(options);
    backend.setCurrentKey('a');
    const times = [minTimestampMs, -5, 0, 1, 2 ** 40, maxTimestampMs];
    for (const timestampMs of [...times].reverse()) {
      backend.registerTimer('ProcessingTime', timestampMs);
    }
    const restored = await fixture.reopen(backend, options);
    assert.equal(restored.nextTimerMs('ProcessingTime'), minTimestampMs);
    assert.deepEqual(
      fireAll(restored).map(({ timestampMs }) => timestampMs),
      times,
    );
  });

  test('rounds a timer up to whole milliseconds and refuses what is no time', async () => {
    const backend = await fixture.open({ namespaceType: undefined, states: [] });
    backend.setCurrentKey('a');
    backend.registerTimer('ProcessingTime', 1.2);
    backend.registerTimer('ProcessingTime', 2.5);
    backend.deleteTimer('ProcessingTime', 2.5);
    assert.deepEqual(fireAll(backend, 'ProcessingTime', 1), []);
    assert.deepEqual(
      fireAll(backend).map(({ timestampMs }) => timestampMs),
      [2],
    );
    for (const wrong of [Number.NaN, Number.POSITIVE_INFINITY, 2 ** 60]) {
      assertJobError(() => backend.registerTimer('EventTime', wrong), 'TimerTimestampInvalid');
    }
  });
}
