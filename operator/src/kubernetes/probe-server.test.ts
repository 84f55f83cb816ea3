import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { test } from 'node:test';
import { Metrics } from './metrics.ts';
import { startProbeServer } from './probe-server.ts';

test('probes are answered, readiness with its reason, and metrics as Prometheus reads them', async () => {
  const metrics = new Metrics();
  metrics.gauge('leading', 'Whether.', () => [{ value: 1 }]);
  let hindrance: string | undefined = 'the cluster was not reached yet';
  await using server = await startProbeServer({
    address: { host: '127.0.0.1', port: 0 },
    readiness: () => hindrance,
    metrics,
  });
  const ask = async (path: string, method = 'GET') => {
    const response = await fetch(`http://127.0.0.1:${server.port}${path}`, { method });
    return [response.status, await response.text(), response.headers.get('content-type')] as const;
  };
  assert.deepEqual((await ask('/livez')).slice(0, 2), [200, 'ok\n']);
  assert.deepEqual((await ask('/healthz')).slice(0, 2), [200, 'ok\n']);
  assert.deepEqual((await ask('/readyz')).slice(0, 2), [503, 'the cluster was not reached yet\n']);
  hindrance = undefined;
  assert.deepEqual((await ask('/readyz?verbose')).slice(0, 2), [200, 'ok\n']);
  const [status, text, type] = await ask('/metrics');
  assert.equal(status, 200);
  assert.match(text, /^flinkjob_operator_leading 1$/m);
  assert.match(type ?? '', /^text\/plain; version=0\.0\.4/);
  assert.equal((await ask('/'))[0], 404);
  assert.equal((await ask('/livez', 'POST'))[0], 405);
});

test('connections that say nothing keep no probe away: the oldest goes', async () => {
  await using server = await startProbeServer({
    address: { host: '127.0.0.1', port: 0 },
    readiness: () => undefined,
    metrics: new Metrics(),
  });
  const idle: Socket[] = [];
  try {
    for (let count = 0; count < 64; count += 1) {
      const socket = connect(server.port, '127.0.0.1').on('error', () => {
        // Cut off by the server, as one of them has to be.
      });
      idle.push(socket);
      await once(socket, 'connect');
    }
    const closed = once(idle[0] as Socket, 'close');
    const response = await fetch(`http://127.0.0.1:${server.port}/readyz`);
    assert.equal(response.status, 200);
    await closed;
    assert.ok(idle.slice(1).every((socket) => !socket.destroyed));
  } finally {
    for (const socket of idle) {
      socket.destroy();
    }
  }
});

test('an address that is taken is an error of the option', async () => {
  const metrics = new Metrics();
  await using first = await startProbeServer({ address: { host: '127.0.0.1', port: 0 }, readiness: () => undefined, metrics });
  await assert.rejects(startProbeServer({ address: first, readiness: () => undefined, metrics }), {
    code: 'HttpAddressUnusable',
    message: new RegExp(`--http-address=127.0.0.1:${first.port}.*EADDRINUSE`),
  });
});
