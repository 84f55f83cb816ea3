import assert from 'node:assert/strict';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { documentWith } from '../../test/fakes/flink-job-builders.ts';
import { JobManagerClient } from './job-manager-client.ts';

// What is sent and how answers are understood, over real HTTP. The server that really answers is the runtime's.

interface Received {
  readonly line: string;
  readonly body: string;
}

async function withServer(
  answer: (request: IncomingMessage) => { readonly status: number; readonly body: string },
  body: (client: JobManagerClient, received: Received[]) => Promise<void>,
  mayCommand?: () => boolean,
): Promise<void> {
  const received: Received[] = [];
  const server = createServer((request, response) => {
    let text = '';
    request.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
    request.on('end', () => {
      received.push({ line: `${request.method} ${request.url}`, body: text });
      const { status, body: answered } = answer(request);
      response.writeHead(status, { 'content-type': 'application/json' }).end(answered);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    await body(new JobManagerClient(address, undefined, mayCommand), received);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

const healthy = (request: IncomingMessage) => ({
  status: request.method === 'GET' ? 200 : 202,
  body: JSON.stringify(documentWith({ jobId: 'abc' })),
});

test('a stop carries its operation id and its deadline, and nothing else', () =>
  withServer(healthy, async (client, received) => {
    const command = { type: 'StopJob', operationId: 'uid/r1/stop/1', deadlineSeconds: 60, address: 'x' };
    await client.stop(command);
    assert.deepEqual(
      received.map(({ line }) => line),
      ['GET /v1/status', 'POST /jobs/abc/stop'],
    );
    assert.deepEqual(JSON.parse(received[1]?.body ?? ''), { operationId: 'uid/r1/stop/1', deadlineSeconds: 60 });
  }));

test('who has lost the lead by the time of the request reads, and sends nothing else', () => {
  let reads = 0;
  const leadsUntilItHasRead = () => reads === 0;
  return withServer(
    (request) => {
      reads += 1;
      return healthy(request);
    },
    async (client, received) => {
      await assert.rejects(client.stop({ operationId: 'one', deadlineSeconds: 60 }), { code: 'NotLeading' });
      await assert.rejects(client.cancel('two'), { code: 'NotLeading' });
      await assert.rejects(client.savepoint('three'), { code: 'NotLeading' });
      await assert.rejects(client.releaseSavepoint('four', 'file:///c/savepoints/000001-e1'), { code: 'NotLeading' });
      assert.deepEqual(
        received.map(({ line }) => line),
        ['GET /v1/status'],
      );
    },
    leadsUntilItHasRead,
  );
});

test('a canonical savepoint is asked for in Flink’s words, and a release has Flink’s path', () =>
  withServer(healthy, async (client, received) => {
    await client.savepoint('one', { stateFormat: 'Canonical', reason: 'audit' });
    await client.savepoint('two', { stateFormat: 'Native' });
    await client.stop({ operationId: 'three', deadlineSeconds: 60, stateFormat: 'Canonical' });
    await client.releaseSavepoint('four', 'file:///c/savepoints/000001-e1');
    assert.deepEqual(
      received.slice(1).map(({ line, body }) => [line, JSON.parse(body)]),
      [
        ['POST /jobs/abc/savepoints', { operationId: 'one', formatType: 'CANONICAL', reason: 'audit' }],
        ['POST /jobs/abc/savepoints', { operationId: 'two' }],
        ['POST /jobs/abc/stop', { operationId: 'three', deadlineSeconds: 60, formatType: 'CANONICAL' }],
        ['POST /savepoint-disposal', { operationId: 'four', 'savepoint-path': 'file:///c/savepoints/000001-e1' }],
      ],
    );
  }));

test('savepoint and cancel use Flink’s paths', () =>
  withServer(healthy, async (client, received) => {
    await client.savepoint('one');
    await client.cancel('two');
    assert.deepEqual(
      received.slice(1).map(({ line, body }) => [line, body]),
      [
        ['POST /jobs/abc/savepoints', '{"operationId":"one"}'],
        ['PATCH /jobs/abc?mode=cancel', '{"operationId":"two"}'],
      ],
    );
  }));

test('what the JobManager answers keeps its code, its remedy and whether to try again', () =>
  withServer(
    (request) =>
      request.method === 'GET'
        ? healthy(request)
        : {
            status: 409,
            body: JSON.stringify({
              errors: ['x'],
              error: {
                code: 'JobNotRunning',
                message: 'the job is Restarting',
                domain: 'external',
                retry: 'backoff',
                remedy: 'Wait.',
              },
            }),
          },
    async (client) => {
      await assert.rejects(client.stop({ operationId: 'one', deadlineSeconds: 1 }), {
        code: 'JobNotRunning',
        message: 'the job is Restarting',
        retry: 'backoff',
        remedy: 'Wait.',
      });
    },
  ));

test('Flink’s way of answering is understood too', () =>
  withServer(
    () => ({ status: 400, body: '{"errors":["no such job"]}' }),
    async (client) => {
      await assert.rejects(client.readStatus(), { code: 'Http400', message: 'GET /v1/status: no such job' });
    },
  ));

test('a document of another format is not read as ours', () =>
  withServer(
    () => ({ status: 200, body: '{"format":2}' }),
    async (client) => {
      await assert.rejects(client.readStatus(), { code: 'StatusFormatUnknown' });
    },
  ));

test('nobody there is an error of its own', async () => {
  await assert.rejects(new JobManagerClient('127.0.0.1:1').readStatus(), { code: 'JobManagerUnreachable' });
});

test('an answer without end is cut off at the limit', () =>
  withServer(
    () => ({ status: 200, body: `"${'x'.repeat(17 * 1024 * 1024)}"` }),
    async (client) => {
      await assert.rejects(client.readStatus(), { code: 'JobManagerUnreachable', message: /longer than 16777216 bytes/ });
    },
  ));
