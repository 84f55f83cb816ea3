// REST over real HTTP, of a JobManager on virtual time. What the JobManager does with a request is tested with it.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { credentialsOf, jobKeys } from '../../../test/fakes/job-credentials.ts';
import { JobManagerHarness, jobManagerConfig, type StartedJobManager } from '../../../test/fakes/job-manager-harness.ts';
import type { ScriptedTaskManager } from '../../../test/fakes/scripted-task-manager.ts';
import { authorizeAnyRestCall, authorizeRestCall } from '../../credentials/rest-authorization.ts';
import { jobIdOf } from '../job-id.ts';
import { type RestServer, startRestServer } from './rest-server.ts';
import { routesOf } from './routes.ts';
import { servedByJobManager, servedWithoutJobManager } from './serve-job.ts';
import type { ServedJob } from './served-job.ts';

const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
const jobId = jobIdOf({ namespace: 'default', name: 'word-count' });
const harness = new JobManagerHarness();
let started: StartedJobManager;
let taskManager: ScriptedTaskManager;
let server: RestServer;
let served: ServedJob;
let nextId = 0;

before(async () => {
  started = harness.start();
  taskManager = await started.running();
  await harness.pass(10_000);
  const config = jobManagerConfig();
  const fixed = { config, startedAtMs: harness.time.nowMs(), checkpointStorageUrl: harness.storage.url };
  served = servedByJobManager(started.jobManager, { config, graph: harness.graph }, fixed);
  server = await startRestServer({
    ...{ host: '127.0.0.1', port: 0, log: silent },
    routes: () => ({
      jobId,
      routes: routesOf(served, { nowMs: () => harness.time.nowMs(), newId: () => `made-${++nextId}`, measureProcess: () => [] }),
    }),
  });
});
after(() => server.close());

interface Answer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: documents are looked into field by field.
  readonly document: any;
}

async function call(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Answer> {
  const response = await fetch(`http://${server.address}${path}`, {
    method,
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
  });
  return { status: response.status, document: await response.json() };
}

test('the status document is served', async () => {
  const { status, document } = await call('GET', '/v1/status');
  assert.equal(status, 200);
  assert.equal(document.state, 'Running');
  assert.equal(document.jobId, jobId);
  assert.match(jobId, /^[0-9a-f]{32}$/);
});

test('the overview counts TaskManagers, slots and the job', async () => {
  const { document } = await call('GET', '/overview');
  assert.deepEqual(
    [document.taskmanagers, document['slots-total'], document['slots-available'], document['jobs-running']],
    [1, 2, 0, 1],
  );
});

test('the job is listed and described in the shapes that Flink has', async () => {
  assert.deepEqual((await call('GET', '/jobs')).document, { jobs: [{ id: jobId, status: 'RUNNING' }] });
  const [overview] = (await call('GET', '/jobs/overview')).document.jobs;
  assert.deepEqual(
    [overview.jid, overview.name, overview.state, overview.tasks.total, overview.tasks.running],
    [jobId, 'word-count', 'RUNNING', 6, 6],
  );
  const { document } = await call('GET', `/jobs/${jobId}`);
  assert.deepEqual(
    document.vertices.map((vertex: { id: string; status: string }) => `${vertex.id} ${vertex.status}`),
    ['lines RUNNING', 'counts RUNNING', 'out RUNNING'],
  );
  assert.equal(document['status-counts'].RUNNING, 6);
  assert.equal((await call('GET', `/jobs/${jobId}/config`)).document['execution-config']['job-parallelism'], 2);
  const { plan } = (await call('GET', `/jobs/${jobId}/plan`)).document;
  assert.deepEqual(plan.nodes[1].inputs, [{ num: 0, id: 'lines', ship_strategy: 'HASH', exchange: 'pipelined_bounded' }]);
  assert.equal((await call('GET', '/config')).document.features['web-submit'], false);
});

test('checkpoints are listed, newest first, and found by id', async () => {
  const { document } = await call('GET', `/jobs/${jobId}/checkpoints`);
  assert.ok(document.counts.completed >= 1);
  assert.equal(document.latest.restored, null);
  const first = (await call('GET', `/jobs/${jobId}/checkpoints/details/1`)).document;
  assert.deepEqual([first.id, first.status, first.external_path], [1, 'COMPLETED', 'memory:///lineage/chk-000001-e1']);
  assert.equal((await call('GET', `/jobs/${jobId}/checkpoints/details/999`)).status, 404);
});

test('TaskManagers are listed and found by id', async () => {
  const { document } = await call('GET', '/taskmanagers');
  assert.deepEqual(
    document.taskmanagers.map(({ id, slotsNumber, freeSlots, dataPort }: Record<string, unknown>) => [
      id,
      slotsNumber,
      freeSlots,
      dataPort,
    ]),
    [['tm-1', 2, 0, 1]],
  );
  assert.equal((await call('GET', '/taskmanagers/tm-1')).document.id, 'tm-1');
  assert.equal((await call('GET', '/taskmanagers/tm-9')).status, 404);
});

test('a savepoint is asked for once and polled by its operation id, whatever characters that has', async () => {
  const operationId = 'uid-1/savepoint:1 2';
  taskManager.script = { silentOn: ['TriggerCheckpoint'] };
  const asked = await call('POST', `/jobs/${jobId}/savepoints`, { operationId });
  assert.deepEqual(asked, { status: 202, document: { 'request-id': operationId } });
  const path = `/jobs/${jobId}/savepoints/${encodeURIComponent(operationId)}`;
  assert.deepEqual((await call('GET', path)).document, { status: { id: 'IN_PROGRESS' }, operation: null });
  taskManager.script = {};
  taskManager.acknowledge(2);
  await harness.pass(100);
  const { document } = await call('GET', path);
  assert.equal(document.status.id, 'COMPLETED');
  assert.match(document.operation.location, /^memory:\/\/\/lineage\/savepoints\//);
  assert.equal((await call('POST', `/jobs/${jobId}/savepoints`, { operationId })).status, 202);
  assert.equal(started.jobManager.status().operations.filter((operation) => operation.operationId === operationId).length, 1);
});

test("Flink's own body is accepted and gets an id of ours", async () => {
  const body = { 'target-directory': '/tmp/savepoints', 'cancel-job': false, formatType: 'CANONICAL' };
  const { status, document } = await call('POST', `/jobs/${jobId}/savepoints`, body);
  assert.equal(status, 202);
  assert.match(document['request-id'], /^made-/);
  await harness.pass(100);
});

test('savepoints are listed with owner, format and reason, until they are released', async () => {
  const body = { operationId: 'kept', formatType: 'CANONICAL', reason: 'before the audit' };
  assert.equal((await call('POST', `/jobs/${jobId}/savepoints`, body)).status, 202);
  await harness.pass(100);
  const asked = (await call('GET', `/jobs/${jobId}/savepoints/kept`)).document;
  const { location, completedAtMs, ...savepoint } = asked.savepoint;
  assert.equal(location, asked.operation.location);
  assert.equal(typeof completedAtMs, 'number');
  const { checkpointId, sizeBytes } = savepoint;
  assert.deepEqual(savepoint, {
    ...{ checkpointId, sizeBytes, owner: 'test/default/word-count', stateFormat: 'Canonical', reason: 'before the audit' },
    ...{ operationId: 'kept', released: false, pinnedFor: [] },
  });
  const listed = async () =>
    (await call('GET', '/v1/savepoints')).document.savepoints.find(
      (each: { operationId?: string }) => each.operationId === 'kept',
    );
  assert.deepEqual(await listed(), asked.savepoint);
  // As Flink's clients dispose of one.
  const disposed = await call('POST', '/savepoint-disposal', { 'savepoint-path': location });
  assert.equal(disposed.status, 202);
  await harness.pass(100);
  const outcome = await call('GET', `/savepoint-disposal/${disposed.document['request-id']}`);
  assert.deepEqual(outcome.document, { status: { id: 'COMPLETED' }, operation: { location } });
  // The newest completed one is the head, and stays until there is a newer one.
  assert.equal((await listed()).released, true);
  await harness.pass(11_000);
  assert.equal(await listed(), undefined);
});

test('only a savepoint can be released, and the answer names those there are', async () => {
  const path = 'savepoints/000999-e1';
  const unknown = await call('POST', '/savepoint-disposal', { 'savepoint-path': path });
  assert.deepEqual([unknown.status, unknown.document.error.code], [404, 'SavepointUnknown']);
  assert.match(unknown.document.error.remedy, /savepoints\/0000/);
  const [newest] = (await call('GET', `/jobs/${jobId}/checkpoints`)).document.history;
  const checkpoint = await call('POST', '/savepoint-disposal', { 'savepoint-path': newest.external_path });
  assert.match(checkpoint.document.error.message, /is a checkpoint/);
});

test('a body that is wrong is answered with field, reason and remedy', async () => {
  const path = `/jobs/${jobId}/savepoints`;
  const unknown = await call('POST', path, { operation: 'x' });
  assert.equal(unknown.status, 400);
  assert.match(unknown.document.errors[0], /operation/);
  assert.ok(unknown.document.error.remedy.length > 0);
  assert.match((await call('POST', path, { operationId: 5 })).document.errors[0], /operationId: .*string/);
  assert.match((await call('POST', path, '{')).document.errors[0], /not JSON/);
  assert.match((await call('POST', path, { 'cancel-job': true })).document.errors[0], /cancel-job: .*stop/);
  assert.match((await call('POST', `/jobs/${jobId}/stop`, { deadlineSeconds: -1 })).document.errors[0], /deadlineSeconds/);
});

test('a body without the JSON content type is refused, because any web page can send one', async () => {
  const { status, document } = await call('POST', `/jobs/${jobId}/savepoints`, '{}', { 'content-type': 'text/plain' });
  assert.equal(status, 400);
  assert.match(document.errors[0], /content-type/);
});

test('a body that is too long is refused while it arrives', async () => {
  const { hostname, port } = new URL(`http://${server.address}`);
  const status = await new Promise<number | undefined>((resolve, reject) => {
    const long = request({
      hostname,
      port,
      method: 'POST',
      path: `/jobs/${jobId}/savepoints`,
      headers: { 'content-type': 'application/json' },
    });
    long.on('response', (response) => {
      resolve(response.statusCode);
      long.destroy();
    });
    long.on('error', reject);
    // Never ended: the answer must not wait for the end.
    long.write('x'.repeat(70_000));
  });
  assert.equal(status, 413);
});

test('an unknown path, job, operation or mode, and a wrong method, are answered in words', async () => {
  const missing = await call('GET', '/nothing/here');
  assert.equal(missing.status, 404);
  assert.match(missing.document.errors[0], /Not found: \/nothing\/here/);
  assert.equal((await call('GET', '/jobs/0123')).status, 404);
  assert.equal((await call('GET', `/jobs/${jobId}/savepoints/unknown`)).status, 404);
  assert.equal((await call('GET', '/jobs/%E0%A4%A')).status, 400);
  assert.equal((await call('PATCH', `/jobs/${jobId}?mode=stop`)).status, 400);
  const method = await call('DELETE', `/jobs/${jobId}`);
  assert.equal(method.status, 405);
  assert.match(method.document.errors[0], /GET or PATCH/);
});

test('exceptions are listed with the newest as root', async () => {
  started.jobManager.history.recordException({
    atMs: 7,
    error: { code: 'UserCodeFailed', message: 'boom', domain: 'user', retry: 'backoff' },
    task: { vertexId: 'counts', subtaskIndex: 0 },
    taskManagerId: 'tm-1',
    executionAttempt: 1,
  });
  const { document } = await call('GET', `/jobs/${jobId}/exceptions`);
  assert.equal(document['root-exception'], 'boom');
  assert.equal(document.exceptionHistory.entries[0].taskName, 'counts (1/2) - execution #1');
});

test('a port in use is said so', async () => {
  const port = Number(server.address.split(':')[1]);
  const again = startRestServer({ host: '127.0.0.1', port, log: silent, routes: () => ({ jobId, routes: [] }) });
  await assert.rejects(again, { code: 'PortInUse', message: new RegExp(`127.0.0.1:${port}: the port is in use`) });
});

test('a job that could not be loaded shows why, and refuses what is asked of it', async () => {
  const running = served;
  const error = { code: 'ModuleMissing', message: 'no /job.ts', domain: 'user', retry: 'never' } as const;
  served = servedWithoutJobManager(error, 1, { config: jobManagerConfig(), startedAtMs: 1, checkpointStorageUrl: 'memory:///' });
  const { document } = await call('GET', '/v1/status');
  assert.deepEqual([document.state, document.error.code, document.jobId], ['Refused', 'ModuleMissing', jobId]);
  assert.equal((await call('GET', '/jobs/overview')).document.jobs[0].state, 'FAILED');
  const asked = await call('POST', `/jobs/${jobId}/stop`, { operationId: 'x', deadlineSeconds: 1 });
  assert.equal(asked.status, 409);
  served = running;
});

test('stop and cancel are accepted once and then refused with the state of the job', async () => {
  assert.equal((await call('POST', `/jobs/${jobId}/stop`, { operationId: 'stop-1', deadlineSeconds: 60 })).status, 202);
  const other = await call('POST', `/jobs/${jobId}/stop`, { targetDirectory: null, drain: false });
  assert.equal(other.status, 409);
  await harness.pass(1000);
  assert.equal((await call('GET', `/jobs/${jobId}`)).document.state, 'FINISHED');
  const { status, document } = await call('PATCH', `/jobs/${jobId}?mode=cancel`, { operationId: 'cancel-1' });
  assert.equal(status, 409);
  assert.match(document.errors[0], /Stopped/);
  assert.equal(document.error.code, 'JobNotRunning');
});

test('with credentials everybody may read, and only who has a token may change anything', async () => {
  const keys = jobKeys();
  const guarded = await startRestServer({
    ...{ host: '127.0.0.1', port: 0, log: silent, credentials: credentialsOf('JobManager', keys) },
    routes: () => ({
      jobId,
      routes: routesOf(served, { nowMs: () => harness.time.nowMs(), newId: () => `made-${++nextId}`, measureProcess: () => [] }),
    }),
  });
  try {
    const send = async (method: string, path: string, body: string | undefined, authorization?: string) => {
      const response = await fetch(`http://${guarded.address}${path}`, {
        method,
        ...(body === undefined ? {} : { body }),
        headers: { 'content-type': 'application/json', ...(authorization === undefined ? {} : { authorization }) },
      });
      // biome-ignore lint/suspicious/noExplicitAny: documents are looked into field by field.
      return { status: response.status, headers: response.headers, document: (await response.json()) as any };
    };
    assert.equal((await send('GET', '/v1/status', undefined)).status, 200);
    const before = started.jobManager.status().operations.length;
    const body = JSON.stringify({ operationId: 'guarded' });
    const writes = [
      ['POST', `/jobs/${jobId}/savepoints`],
      ['POST', `/jobs/${jobId}/stop`],
      ['POST', '/savepoint-disposal'],
      ['PATCH', `/jobs/${jobId}?mode=cancel`],
    ] as const;
    for (const [method, path] of writes) {
      const { status, headers, document } = await send(method, path, body);
      assert.deepEqual([status, headers.get('www-authenticate'), document.error.code], [401, 'FlinkJob', 'CredentialMissing']);
      assert.match(document.error.message, new RegExp(`^${method} /.* needs a token of this job$`));
      assert.match(document.error.remedy, /flinkjob/);
      assert.match(document.errors[0], /needs a token/);
      const foreign = credentialsOf('Controller', jobKeys());
      assert.equal((await send(method, path, body, authorizeRestCall(foreign, { method, path, body }))).status, 401);
      const taskManagers = credentialsOf('TaskManager', keys);
      const forbidden = await send(method, path, body, authorizeRestCall(taskManagers, { method, path, body }));
      assert.deepEqual([forbidden.status, forbidden.document.error.code], [403, 'CredentialForbidden']);
    }
    assert.equal(started.jobManager.status().operations.length, before, 'nothing of it has had an effect');
    const [method, path] = writes[0];
    const authorization = authorizeRestCall(credentialsOf('Controller', keys), { method, path, body });
    // It is the job that answers now, which the tests before have ended.
    assert.equal((await send(method, path, body, authorization)).document.error.code, 'JobNotRunning');
    assert.match((await send(method, path, body, authorization)).document.error.message, /used before/);
    const byTool = authorizeAnyRestCall(credentialsOf('Tool', keys));
    assert.equal((await send(method, path, body, byTool)).document.error.code, 'JobNotRunning');
  } finally {
    await guarded.close();
  }
});

test('arguments of the job are shown by name only, and a URL without its password', async () => {
  const hidden = {
    ...served,
    config: { ...served.config, job: { ...served.config.job, args: { dsn: 'postgres://u:hunter2@db/x' } } },
  };
  const status = { ...served.status(), error: { ...brokenSink, message: 'cannot reach postgres://u:hunter2@db/x?a=b@c' } };
  const leaky = await startRestServer({
    ...{ host: '127.0.0.1', port: 0, log: silent },
    routes: () => ({
      jobId,
      routes: routesOf({ ...hidden, status: () => status }, { nowMs: () => 0, newId: () => 'x', measureProcess: () => [] }),
    }),
  });
  try {
    const read = async (path: string) => (await fetch(`http://${leaky.address}${path}`)).text();
    assert.match(await read('/v1/status'), /cannot reach postgres:\/\/\*\*\*@db\/x/);
    assert.match(await read(`/jobs/${jobId}/config`), /"user-config":\{"dsn":"\*{6}"\}/);
    for (const { method, path } of routesOf(hidden, { nowMs: () => 0, newId: () => 'x', measureProcess: () => [] })) {
      if (method === 'GET') {
        assert.doesNotMatch(await read(path.replace(':jobId', jobId)), /hunter2/, path);
      }
    }
  } finally {
    await leaky.close();
  }
});

const brokenSink = { code: 'SinkFailed', domain: 'external', retry: 'backoff' } as const;

test('somebody who holds very many connections open keeps no other one out', async () => {
  const { hostname, port } = new URL(`http://${server.address}`);
  const silent: Socket[] = [];
  const firstGone = Promise.withResolvers<void>();
  for (let count = 0; count < 600; count += 1) {
    const socket = connect(Number(port), hostname);
    socket.on('error', () => {});
    socket.once('close', () => (count === 0 ? firstGone.resolve() : undefined));
    silent.push(socket);
  }
  await Promise.all(silent.map((socket) => once(socket, 'connect')));
  await firstGone.promise;
  assert.equal((await call('GET', '/config')).status, 200);
  for (const socket of silent) {
    socket.destroy();
  }
});
