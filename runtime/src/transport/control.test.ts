// The control connection over real sockets on loopback, and the wire form of every message. Who sends what is tested with JobManager and TaskManager.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { credentialsOf, jobKeys } from '../../test/fakes/job-credentials.ts';
import type { Connection, JobManagerMessage, TaskManagerConnection, TaskManagerMessage } from '../core/protocol/messages.ts';
import { connectToJobManager, listenForTaskManagers } from './control.ts';
import { connectInMemory } from './in-memory-connection.ts';

const token = { epoch: 7, executionAttempt: 2 };
const task = { vertexId: 'counts', subtaskIndex: 3 };
const error = { code: 'X', message: 'm', domain: 'user', retry: 'never', remedy: undefined, stack: 'at f' } as const;
const localPart = { uid: 'a', keyGroups: { first: 0, last: 63 }, checkpointId: 9, epoch: 7, sizeBytes: 5_000_000_000 } as const;
const file = { type: 'file', path: 'chk-000001-e7/counts-3-a2.state', sizeBytes: 40_000, sha256: 'ab' } as const;

const taskManagerMessages: TaskManagerMessage[] = [
  {
    type: 'Register',
    taskManagerId: 'tm-0',
    slots: 2,
    dataAddress: '127.0.0.1:1',
    pid: 5,
    jobGraphHash: 'h',
    localParts: [localPart],
  },
  { type: 'Heartbeat', residentSizeBytes: 5_000_000_000 },
  { type: 'TasksReady', token },
  { type: 'Leaving', token },
  { type: 'TaskFailed', token, task, error },
  {
    type: 'CheckpointAcknowledged',
    token,
    checkpointId: 569_116,
    task,
    operators: [
      {
        uid: 'a',
        keyed: {
          backend: 'RocksDB',
          keyGroups: { first: 0, last: 63 },
          handle: file,
          files: [{ name: '000012.sst', handle: file }],
        },
        splits: undefined,
        committables: undefined,
      },
      {
        uid: 'b',
        keyed: undefined,
        splits: [{ splitId: 's', positionBase64: 'AQI=', maxTimestampMs: -5 }],
        committables: undefined,
      },
      { uid: 'c', keyed: undefined, splits: [], committables: [{ checkpointId: 4, data: { path: 'x', empty: null } }] },
      { uid: 'd', keyed: undefined, splits: undefined, committables: [] },
      {
        uid: 'e',
        keyed: undefined,
        splits: undefined,
        committables: undefined,
        watermarkFloors: [
          { keyGroups: { first: 0, last: 9 }, watermarkMs: -(2 ** 53) + 1 },
          { keyGroups: { first: 10, last: 127 }, watermarkMs: 2 ** 53 - 1 },
        ],
        broadcast: file,
        operatorLists: { handle: file, elementCounts: [{ state: 'pending', count: 2 ** 31 }] },
      },
    ],
    syncDurationMs: 1.5,
    asyncDurationMs: 20,
    alignmentDurationMs: 3.25,
    uploadedSizeBytes: 5_000_000_000,
  },
  { type: 'CheckpointDeclined', token, checkpointId: 1, task, error: { ...error, remedy: 'do this' } },
  { type: 'Committed', token, checkpointId: 2, task },
  { type: 'EndOfInput', token, task },
  {
    type: 'LocalParts',
    parts: [{ uid: 'counts', keyGroups: { first: 0, last: 63 }, checkpointId: 9, epoch: 2, sizeBytes: 2 ** 41 }],
  },
  { type: 'RestoreProgress', token, restoredKeyGroups: 128, linkedSizeBytes: 2 ** 40, fetchedSizeBytes: 7 },
  { type: 'FilesForgotten', token, requestId: 6, names: ['shared/e7-ab.sst'] },
  { type: 'TasksCanceled', token },
  {
    type: 'SourceEventTimes',
    token,
    sources: [
      { task, group: 'g', minimumMs: -7 },
      { task, group: 'h', minimumMs: undefined },
    ],
  },
  { type: 'ProcessMetrics', metrics: [{ name: 'heapUsed', labels: { thread: 'slots-0' }, value: 2.5 }] },
  {
    type: 'Metrics',
    token,
    subtasks: [
      {
        ...{ task, recordsIn: 1, recordsOut: 2 ** 40, stateSizeBytes: 0, lateRecordsDropped: 3, bytesIn: 2 ** 41, bytesOut: 4 },
        ...{ busyMs: 0.5, backPressuredMs: 1.5, idleMs: 2.5, watermarkMs: -9, inputQueueLength: 5, outputQueueLength: 6 },
        operators: [
          { uid: 'a', name: 'pendingRecords', kind: 'Gauge', value: -0.25 },
          { uid: 'a', name: 'errors', kind: 'Counter', value: 2 ** 50 },
        ],
      },
      {
        ...{ task, recordsIn: 0, recordsOut: 0, stateSizeBytes: 0, lateRecordsDropped: 0, bytesIn: 0, bytesOut: 0 },
        ...{ busyMs: 0, backPressuredMs: 0, idleMs: 0, watermarkMs: undefined, operators: [] },
        ...{ inputQueueLength: 0, outputQueueLength: 0 },
      },
    ],
  },
];

const jobManagerMessages: JobManagerMessage[] = [
  { type: 'Registered', epoch: 7, heartbeatIntervalMs: 500, leaseMs: 10_000 },
  { type: 'RegistrationRefused', error },
  { type: 'Heartbeat', epoch: 7 },
  {
    type: 'Deploy',
    token,
    deployment: {
      subtasks: [
        {
          task,
          slotIndex: 1,
          operators: [
            {
              uid: 'counts',
              keyedParts: [
                { backend: 'HashMap', keyGroups: { first: 0, last: 1 }, handle: { type: 'inline', base64: 'AAEC' }, files: [] },
                { backend: 'HashMap', keyGroups: { first: 2, last: 3 }, handle: file, files: [] },
              ],
              splits: [{ splitId: '', positionBase64: '' }],
              committables: [{ checkpointId: 9, data: 'text' }],
              operatorLists: [{ handle: file, ranges: [{ state: 'pending', from: 0, to: 7 }] }],
            },
            { uid: 'batches', keyedParts: [], splits: [], committables: [], operatorLists: [] },
          ],
        },
      ],
      locations: [{ task, taskManagerId: 'tm-0', dataAddress: '127.0.0.1:1', slotIndex: 1 }],
    },
  },
  { type: 'Start', token },
  { type: 'Cancel', token },
  {
    type: 'TriggerCheckpoint',
    token,
    checkpointId: 3,
    directory: 'chk-000003-e7',
    stopSources: true,
    format: 'Canonical',
    mode: 'AtLeastOnce',
  },
  { type: 'ForgetFiles', token, requestId: 6, names: ['shared/e7-ab.sst'] },
  { type: 'CheckpointCompleted', token, checkpointId: 3 },
  { type: 'CheckpointAborted', token, checkpointId: 4 },
  {
    type: 'AlignSources',
    token,
    sources: [
      { task, othersMinimumMs: 2 ** 50 },
      { task, othersMinimumMs: undefined },
    ],
  },
  {
    ...{ type: 'Prefetch', token, checkpointId: 9 },
    parts: [
      {
        ...{ uid: 'counts', subtaskIndex: 3 },
        part: {
          ...{ keyGroups: { first: 0, last: 63 }, backend: 'RocksDB', handle: { type: 'inline', base64: 'AAE=' } },
          files: [{ name: '1.sst', handle: { type: 'file', path: 'shared/e2-ab.sst', sizeBytes: 2 ** 33, sha256: 'ab' } }],
        },
      },
    ],
  },
  { type: 'Leave', token },
  { type: 'Shutdown', reason: 'finished', isFinished: true },
];

test('every message crosses the wire unchanged and in order, both ways', async () => {
  const accepted = Promise.withResolvers<TaskManagerConnection>();
  const listener = await listenForTaskManagers({ host: '127.0.0.1', port: 0, onConnection: accepted.resolve });
  const taskManager = await connectToJobManager(listener.address);
  for (const message of taskManagerMessages) {
    taskManager.send(message);
  }
  const jobManager = await accepted.promise;
  assert.deepEqual(await collect(jobManager, taskManagerMessages.length), taskManagerMessages);
  for (const message of jobManagerMessages) {
    jobManager.send(message);
  }
  assert.deepEqual(await collect(taskManager, jobManagerMessages.length), jobManagerMessages);
  await listener.close();
});

test('what was sent before closing arrives, then both sides hear of the close once', async () => {
  const accepted = Promise.withResolvers<TaskManagerConnection>();
  const listener = await listenForTaskManagers({ host: '127.0.0.1', port: 0, onConnection: accepted.resolve });
  const taskManager = await connectToJobManager(listener.address);
  const jobManager = await accepted.promise;
  const events: string[] = [];
  const closed = [taskManager, jobManager].map((side: Connection<never, { type: string }>, index) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    side.listen({
      onMessage: ({ type }) => events.push(`${index} ${type}`),
      onClose: () => {
        events.push(`${index} closed`);
        resolve();
      },
    });
    return promise;
  });
  jobManager.send({ type: 'Shutdown', reason: 'finished', isFinished: false });
  jobManager.close('done');
  await Promise.all(closed);
  await listener.close();
  assert.deepEqual(events.toSorted(), ['0 Shutdown', '0 closed', '1 closed']);
});

test('an address where nobody listens is an error that names it', async () => {
  await assert.rejects(connectToJobManager('127.0.0.1:1'), { code: 'JobManagerUnreachable', message: /127\.0\.0\.1:1/ });
});

test('with credentials a TaskManager of the job is served; one without its keys, or a JobManager without them, is refused before a message is read', async () => {
  const keys = jobKeys();
  const connections: TaskManagerConnection[] = [];
  const listen = (of = keys) =>
    listenForTaskManagers({
      ...{ host: '127.0.0.1', port: 0, credentials: credentialsOf('JobManager', of) },
      onConnection: (connection) => connections.push(connection),
    });
  const listener = await listen();
  const connectWith = (credentials: ReturnType<typeof credentialsOf>, address = listener.address) =>
    connectToJobManager(address, credentials);
  const taskManager = await connectWith(credentialsOf('TaskManager', keys));
  const registered = collect(connections[0] as TaskManagerConnection, 1);
  taskManager.send({ type: 'Heartbeat', residentSizeBytes: 3 });
  assert.deepEqual(await registered, [{ type: 'Heartbeat', residentSizeBytes: 3 }]);

  await assert.rejects(connectWith(credentialsOf('TaskManager', jobKeys())), {
    code: 'JobManagerUnproven',
    message: /CredentialRefused: .*signature/,
  });
  await assert.rejects(connectWith(credentialsOf('Tool', keys)), { code: 'JobManagerUnproven', message: /a Tool may not/ });
  const foreign = await listen(jobKeys());
  await assert.rejects(connectWith(credentialsOf('TaskManager', keys), foreign.address), { code: 'JobManagerUnproven' });
  assert.equal(connections.length, 1);

  // One that sends at once, without any proof.
  const plain = await connectToJobManager(listener.address);
  const closed = Promise.withResolvers<string>();
  plain.listen({ onMessage: () => assert.fail('it was answered'), onClose: closed.resolve });
  plain.send({ type: 'Heartbeat', residentSizeBytes: 1 });
  assert.match(await closed.promise, /CredentialMissing: a connection needs a token/);
  assert.equal(connections.length, 1);
  taskManager.close('done');
  await Promise.all([listener.close(), foreign.close()]);
});

test('a listener without keys cannot pass for the JobManager', async () => {
  const heard: TaskManagerMessage[] = [];
  const listener = await listenForTaskManagers({
    ...{ host: '127.0.0.1', port: 0 },
    onConnection: (connection) => {
      connection.listen({ onMessage: (message) => heard.push(message), onClose: () => {} });
      connection.send({ type: 'Cancel', token });
    },
  });
  await assert.rejects(connectToJobManager(listener.address, credentialsOf('TaskManager', jobKeys())), {
    code: 'JobManagerUnproven',
    message: /needs a token/,
  });
  assert.deepEqual(heard, []);
  await listener.close();
});

test('a port in use is an error that names it', async () => {
  const listener = await listenForTaskManagers({ host: '127.0.0.1', port: 0, onConnection: () => {} });
  const port = Number(listener.address.split(':')[1]);
  await assert.rejects(listenForTaskManagers({ host: '127.0.0.1', port, onConnection: () => {} }), {
    code: 'AddressUnavailable',
    message: new RegExp(String(port)),
  });
  await listener.close();
});

test('the in-memory pair keeps order, delivers what was sent before a listener came, and closes both sides', async () => {
  const { jobManagerSide, taskManagerSide } = connectInMemory();
  const inside: string[] = [];
  taskManagerSide.send({ type: 'Heartbeat', residentSizeBytes: 1 });
  taskManagerSide.send({ type: 'TasksReady', token });
  const done = Promise.withResolvers<void>();
  jobManagerSide.listen({
    onMessage: ({ type }) => inside.push(type),
    onClose: (reason) => {
      inside.push(reason);
      done.resolve();
    },
  });
  assert.deepEqual(inside, []);
  taskManagerSide.close('gone');
  await done.promise;
  assert.deepEqual(inside, ['Heartbeat', 'TasksReady', 'gone']);
});

function collect<In>(connection: Connection<never, In>, count: number): Promise<In[]> {
  const messages: In[] = [];
  return new Promise((resolve) => {
    connection.listen({
      onMessage: (message) => {
        messages.push(message);
        if (messages.length === count) {
          resolve(messages);
        }
      },
      onClose: () => {},
    });
  });
}
