import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { accessTo } from '../../test/fakes/api-access.ts';
import { FakeApiServer } from '../../test/fakes/api-server.ts';
import { eventually } from '../../test/fakes/eventually.ts';
import { silentLog } from '../log.ts';
import type { ApiConnection } from './api-connection.ts';
import { connectToApi } from './api-connection.ts';
import { ApiError } from './api-error.ts';
import { LeaderLease, type LeaseLimits } from './leader-lease.ts';
import { Metrics } from './metrics.ts';
import type { KubernetesObject } from './object-client.ts';
import { systemTime, type TimeSource, timeSource } from './time-source.ts';

const limits: LeaseLimits = { leaseMs: 4_000, giveUpAfterMs: 2_500, renewEveryMs: 200 };
/** Where what must not be lost would be by a machine that stands still for a second. */
const patientLimits: LeaseLimits = { leaseMs: 16_000, giveUpAfterMs: 10_000, renewEveryMs: 200 };
const reference = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', namespace: 'default', name: 'controller' };

interface LeaseObject extends KubernetesObject {
  readonly spec: { readonly holderIdentity: string; readonly leaseTransitions: number };
}

function leaseOf(
  server: FakeApiServer,
  identity: string,
  more: { readonly connection?: ApiConnection; readonly time?: TimeSource; readonly limits?: LeaseLimits } = {},
): LeaderLease {
  const { connection, paths } = accessTo(server);
  const { namespace, name } = reference;
  return new LeaderLease({
    connection,
    paths,
    namespace,
    name,
    identity,
    limits,
    log: silentLog,
    metrics: new Metrics(),
    ...more,
  });
}

const never = new AbortController().signal;

test('one of three leads; it releases, and the next leads without waiting for the expiry', async () => {
  await using server = await FakeApiServer.start();
  // On a clock that stands nothing expires: who leads next was given the lease.
  const time = timeSource(
    () => 1_000,
    () => 1_000_000,
  );
  const leases = ['a', 'b', 'c'].map((identity) => leaseOf(server, identity, { time }));
  const stop = new AbortController();
  const leading: LeaderLease[] = [];
  const waiting = leases.map(async (lease) => {
    if (await lease.acquire(stop.signal)) {
      leading.push(lease);
    }
  });
  await eventually('one leads', () => leading.length > 0);
  const looks = () => server.requests.filter(({ method }) => method === 'GET').length;
  const before = looks();
  await eventually('the others have looked again', () => looks() > before + 4);
  assert.equal(leading.length, 1);
  await leading[0]?.release();
  assert.equal(leading[0]?.isHeld(), false);
  await eventually('the next leads', () => leading.length > 1);
  stop.abort();
  await Promise.all(waiting);
  await leading[1]?.release();
  assert.equal(server.find<LeaseObject>(reference)?.spec.holderIdentity, '');
});

test('a leader that the API server does not hear stops before another begins', async () => {
  await using server = await FakeApiServer.start();
  const real = accessTo(server).connection;
  let cut = false;
  const connection: ApiConnection = {
    ...real,
    send: (request, options) =>
      cut ? Promise.reject(new ApiError('cut off', { status: 0, reason: 'NoAnswer' })) : real.send(request, options),
  };
  const [first, second] = [leaseOf(server, 'first', { connection }), leaseOf(server, 'second')];
  await first.acquire(never);
  const taken = second.acquire(never);
  cut = true;
  let both = 0;
  const watch = setInterval(() => {
    both += first.isHeld() && second.isHeld() ? 1 : 0;
  }, 2);
  await taken;
  clearInterval(watch);
  assert.equal(both, 0);
  assert.ok(first.lost.aborted);
  assert.equal(server.find<LeaseObject>(reference)?.spec.leaseTransitions, 1);
  await second.release();
});

test('a renewal whose answer is lost is no loss', async () => {
  await using server = await FakeApiServer.start();
  const lease = leaseOf(server, 'a', { limits: patientLimits });
  await lease.acquire(never);
  server.interfere({ type: 'DoAndReset' }, { method: 'PUT', times: 2 });
  server.interfere({ type: 'Refuse', status: 429, reason: 'TooManyRequests' }, { method: 'PUT', times: 2 });
  const sent = () => server.requests.filter(({ method }) => method === 'PUT').length;
  await eventually('it renews again', () => sent() > 7);
  assert.ok(lease.isHeld());
  await lease.release();
});

test('a renewal that is not answered in time is followed by another within what is left', async () => {
  await using server = await FakeApiServer.start();
  const lease = leaseOf(server, 'a', { limits: patientLimits });
  await lease.acquire(never);
  server.interfere({ type: 'Hang' }, { method: 'PUT' });
  const sent = () => server.requests.filter(({ method }) => method === 'PUT').length;
  await eventually('it renews again, or loses it', () => sent() > 3 || lease.lost.aborted);
  assert.ok(lease.isHeld());
  await lease.release();
});

test('who finds another in the lease stops at once', async () => {
  await using server = await FakeApiServer.start();
  const lease = leaseOf(server, 'a');
  await lease.acquire(never);
  server.patch(reference, { spec: { holderIdentity: 'somebody' } });
  await eventually('it is lost', () => lease.lost.aborted);
  assert.equal(lease.isHeld(), false);
  await lease.release();
  assert.equal(server.find<LeaseObject>(reference)?.spec.holderIdentity, 'somebody');
});

test('after a stall the first question says no, and no write leaves, before any timer has fired', async () => {
  await using server = await FakeApiServer.start();
  let stalledMs = 0;
  const time = timeSource(
    () => systemTime.monotonicMs() + stalledMs,
    () => Date.now() + stalledMs,
  );
  const lease = leaseOf(server, 'a', { time });
  await lease.acquire(never);
  const credentials = async () => ({ headers: {}, connection: {} });
  const fenced = connectToApi({ server: new URL(server.url), namespace: 'default', credentials }, () => lease.isHeld());
  const path = '/api/v1/namespaces/default/configmaps';
  const write = () => fenced.send({ method: 'POST', path, body: { metadata: { name: 'mine' } } }, { timeoutMs: 20_000 });
  await write();
  stalledMs += limits.giveUpAfterMs;
  assert.equal(lease.isHeld(), false);
  await assert.rejects(write(), { reason: 'NotLeading' });
  await fenced.send({ method: 'GET', path }, { timeoutMs: 20_000 });
  await eventually('it is lost', () => lease.lost.aborted);
});

test('the cautious clock follows whichever has gone further, and never goes back', () => {
  let [monotonic, wall] = [0, 1_000_000];
  const time = timeSource(
    () => monotonic,
    () => wall,
  );
  [monotonic, wall] = [10, 1_000_010];
  assert.equal(time.cautiousMs(), 10);
  // Suspended: only the wall goes on. Set back: only the monotonic does.
  [monotonic, wall] = [20, 1_050_010];
  assert.equal(time.cautiousMs(), 50_010);
  [monotonic, wall] = [30, 1_000_000];
  assert.equal(time.cautiousMs(), 50_020);
});

test('a leader whose event loop stands still is killed before another leads', async () => {
  await using server = await FakeApiServer.start();
  const script = fileURLToPath(new URL('../../test/fakes/stalling-leader.ts', import.meta.url));
  const child = spawn(process.execPath, [script, server.url, JSON.stringify(limits)], { stdio: ['ignore', 'pipe', 'pipe'] });
  let errors = '';
  child.stderr.on('data', (data: Buffer) => {
    errors += data.toString();
  });
  const ended = once(child, 'exit');
  await Promise.race([once(child.stdout, 'data'), ended]);
  const successor = leaseOf(server, 'successor');
  const order: string[] = [];
  await Promise.all([
    ended.then(([, signal]) => order.push(String(signal))),
    successor.acquire(never).then(() => order.push('successor')),
  ]);
  assert.deepEqual(order, ['SIGKILL', 'successor']);
  assert.match(errors, /event loop stood still/);
  await successor.release();
});
