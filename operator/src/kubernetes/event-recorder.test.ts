import assert from 'node:assert/strict';
import { test } from 'node:test';
import { accessTo } from '../../test/fakes/api-access.ts';
import { FakeApiServer } from '../../test/fakes/api-server.ts';
import { eventually } from '../../test/fakes/eventually.ts';
import { VirtualClock } from '../../test/fakes/virtual-clock.ts';
import { silentLog } from '../log.ts';
import { createObjectClient } from './api-object-client.ts';
import { EventRecorder, type ObjectEvent } from './event-recorder.ts';
import { Metrics } from './metrics.ts';
import type { KubernetesObject } from './object-client.ts';

interface EventObject extends KubernetesObject {
  readonly note: string;
  readonly eventTime: string;
  readonly series?: { readonly count: number; readonly lastObservedTime: string };
}

const regarding = {
  apiVersion: 'flinkjob.dev/v1alpha1',
  kind: 'FlinkJob',
  namespace: 'default',
  name: 'count',
  uid: 'uid-of-count',
};
const savepointFailed: ObjectEvent = {
  ...{ regarding, type: 'Warning', reason: 'SavepointFailed', action: 'Stop' },
  note: 'the savepoint was not taken within 60 s',
};

async function withRecorder(
  body: (parts: {
    readonly recorder: EventRecorder;
    readonly server: FakeApiServer;
    readonly clock: VirtualClock;
    readonly metrics: Metrics;
    readonly events: () => readonly EventObject[];
  }) => Promise<void>,
): Promise<void> {
  await using server = await FakeApiServer.start();
  const [clock, metrics] = [new VirtualClock(), new Metrics()];
  const recorder = new EventRecorder({
    client: createObjectClient(accessTo(server)),
    instance: 'pod-1',
    clock,
    log: silentLog,
    metrics,
  });
  const events = () => server.list<EventObject>({ apiVersion: 'events.k8s.io/v1', kind: 'Event' });
  await body({ recorder, server, clock, metrics, events });
  await recorder.stop();
}

test('what repeats is one event that counts, written once a minute', () =>
  withRecorder(async ({ recorder, server, clock, events }) => {
    recorder.record(savepointFailed);
    await eventually('it is written', () => events().length === 1);
    for (let second = 0; second < 50; second += 1) {
      clock.advance(1_000);
      recorder.record(savepointFailed);
    }
    assert.equal(events()[0]?.series, undefined);
    clock.advance(10_000);
    await eventually('the series is written', () => events()[0]?.series?.count === 51);
    assert.equal(events().length, 1);
    assert.equal(server.requests.filter(({ method }) => method === 'PATCH').length, 2);
    assert.match(events()[0]?.eventTime ?? '', /^2023-11-14T22:13:20\.000000Z$/);
    // Another note is another event; so is the same one much later.
    recorder.record({ ...savepointFailed, note: 'the bucket is gone' });
    await eventually('the other is written', () => events().length === 2);
    clock.advance(20 * 60_000);
    await new Promise((resolve) => setImmediate(resolve));
    recorder.record(savepointFailed);
    await eventually('it is news again', () => events().length === 3);
  }));

test('a flood of different events about one object is cut off and counted, and others are not hit', () =>
  withRecorder(async ({ recorder, metrics, events }) => {
    for (let index = 0; index < 100; index += 1) {
      recorder.record({ ...savepointFailed, note: `failure ${index}` });
    }
    recorder.record({ ...savepointFailed, regarding: { ...regarding, name: 'other', uid: 'uid-of-other' } });
    await eventually('they are written', () => events().length === 26);
    assert.match(metrics.text(), /events_dropped_total\{why="TooMany"\} 75/);
    assert.match(metrics.text(), /events_recorded_total\{type="Warning",reason="SavepointFailed"\} 101/);
  }));

test('a namespace that is going away costs nothing but the event', () =>
  withRecorder(async ({ recorder, server, metrics, events }) => {
    server.interfere({ type: 'Refuse', status: 403, reason: 'Forbidden' }, { method: 'PATCH' });
    recorder.record(savepointFailed);
    await eventually('it is dropped', () => /events_dropped_total\{why="Refused"\} 1/.test(metrics.text()));
    assert.equal(events().length, 0);
  }));

test('an event that meets a failing server comes a moment later', () =>
  withRecorder(async ({ recorder, server, events }) => {
    server.interfere({ type: 'Reset' }, { method: 'PATCH', times: 2 });
    recorder.record(savepointFailed);
    // The pauses of the requests run on the real clock.
    await eventually('it is written', () => events().length === 1);
  }));

test('stopping writes what is pending', () =>
  withRecorder(async ({ recorder, events }) => {
    recorder.record(savepointFailed);
    await eventually('it is written', () => events().length === 1);
    recorder.record(savepointFailed);
    recorder.record({ ...savepointFailed, note: `${'x'.repeat(2_000)}` });
    await recorder.stop();
    assert.deepEqual(
      events()
        .map(({ series, note }) => [series?.count, note.length])
        .sort(),
      [
        [2, savepointFailed.note.length],
        [undefined, 1_001],
      ].sort(),
    );
  }));
