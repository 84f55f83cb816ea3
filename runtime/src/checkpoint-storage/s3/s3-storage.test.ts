// How S3 fails, on a real server behind a proxy that spoils requests and answers. What it shares with the other media is in ../conformance.test.ts.
import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { inspect } from 'node:util';
import { S3Server, whyNoS3Server } from '../../../../hack/s3-server/s3-server.ts';
import { FaultyProxy, type ProxyFault, s3Error } from '../../../test/fakes/faulty-proxy.ts';
import { entryPath } from '../../core/lineage/object-paths.ts';
import { LineageLog } from '../../job-manager/lineage-log.ts';
import { systemClock } from '../../system-clock.ts';
import { DamagedObjectError, StorageError } from '../checkpoint-storage.ts';
import { probeStorage } from '../probe-storage.ts';
import { getVerified, getVerifiedFile, putObject, putObjectFile, referenceTo } from '../verified-objects.ts';
import { limits } from './limits.ts';
import { type Deadlines, S3Connection } from './s3-connection.ts';
import { S3Storage } from './s3-storage.ts';
import { removeStaleUploads } from './stale-uploads.ts';
import { transferShare } from './transfer-budget.ts';

const mebibyte = 1024 * 1024;
const slowDown: ProxyFault = { type: 'Answer', status: 503, body: s3Error('SlowDown') };
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (content: Uint8Array | undefined): string => new TextDecoder().decode(content);

if (whyNoS3Server === false) {
  describe('S3 that fails', testFailures);
} else {
  test('S3 that fails', { skip: whyNoS3Server }, () => {});
}

function testFailures(): void {
  let server: S3Server;
  let proxy: FaultyProxy;
  let folder: string;
  before(async () => {
    server = await S3Server.start();
    proxy = await FaultyProxy.start(() => server.port);
    folder = await mkdtemp(join(tmpdir(), 'flinkjob-s3-test-'));
  });
  after(async () => {
    await proxy[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });
  beforeEach(() => proxy.reset());

  const connect = (deadlines: Partial<Deadlines> = {}, secretAccessKey = server.credentials.secretAccessKey): S3Connection =>
    new S3Connection({
      settings: { endpoint: proxy.endpoint, isPathStyle: true, kmsKeyId: undefined },
      share: transferShare(1),
      credentials: { ...server.credentials, secretAccessKey },
      deadlines: { retryDelayFirstMs: 10, ...deadlines },
    });
  const open = (connection = connect(), bucket = server.bucket): S3Storage =>
    new S3Storage(connection, { bucket, prefix: `test-${randomUUID()}` });
  const newFile = async (content: Uint8Array): Promise<string> => {
    const file = join(folder, randomUUID());
    await writeFile(file, content);
    return file;
  };
  const openUploads = async (connection: S3Connection, prefix: string): Promise<number> => {
    const { sdk, client } = await connection.api();
    const { Uploads = [] } = await client.send(new sdk.ListMultipartUploadsCommand({ Bucket: server.bucket, Prefix: prefix }));
    return Uploads.length;
  };
  const failing = async (call: Promise<unknown>): Promise<StorageError> => {
    const error = await call.then(
      () => assert.fail('it should have failed'),
      (reason: unknown) => reason,
    );
    assert(error instanceof StorageError, String(error));
    return error;
  };

  test('a server that asks to slow down, or loses the connection before it heard of a put, is asked again', async () => {
    const storage = open();
    proxy.reset(
      { method: 'PUT', path: '/a', fault: slowDown, times: 2 },
      { method: 'PUT', path: '/a', fault: { type: 'ResetBefore' }, times: 1 },
    );
    assert.equal(await storage.putIfAbsent('a', bytes('one')), 'Created');
    assert.equal(proxy.countOf('PUT'), 4);
    assert.equal(text(await storage.get('a')), 'one');
  });

  test('a put whose answer is lost meets itself: Occupied, with its own bytes, which is success for whoever looks', async () => {
    const storage = open();
    proxy.reset({ method: 'PUT', path: '/a', fault: { type: 'ResetAfter' }, times: 1 });
    assert.equal(await storage.putIfAbsent('a', bytes('mine')), 'Occupied');
    assert.equal(text(await storage.get('a')), 'mine');
    proxy.reset({ method: 'PUT', path: '/b', fault: { type: 'ResetAfter' }, times: 1 });
    const reference = await putObject({ storage, clock: systemClock }, 'b', bytes('mine too'));
    assert.equal(text(await getVerified(storage, reference)), 'mine too');
  });

  test('a lineage is appended to once and in order, whatever answers are lost', async () => {
    const storage = open(connect({ requestTimeoutMs: 600, callDeadlineMs: 2_000 }));
    const log = { debug() {}, info() {}, warn() {}, error() {} };
    const lineage = await LineageLog.read({ storage, clock: systemClock, nonce: randomUUID, log });
    proxy.reset(
      { method: 'PUT', path: entryPath(1), fault: { type: 'ResetAfter' }, times: 1 },
      { method: 'PUT', path: entryPath(2), fault: { type: 'SilenceAfter' }, times: 5 },
      { method: 'PUT', path: entryPath(3), fault: slowDown, times: 2 },
    );
    await lineage.open({
      ...{ owner: 'cluster/default/job', adoptFrom: undefined, podUid: 'pod', revision: 'r' },
      ...{ attempt: { number: 1, token: 'attempt-1' }, restore: { from: 'Latest' } as const },
    });
    for (const pinId of ['a', 'b']) {
      await lineage.append({ type: 'Pinned', pinId, checkpoint: 'chk-000001-e1/_metadata', for: 'green' });
    }
    assert.deepEqual(
      (await storage.list('lineage/')).map(({ path }) => path),
      [entryPath(1), entryPath(2), entryPath(3)],
    );
  });

  test('a put that is never answered has an unknown outcome, whether or not it was done', async () => {
    const deadlines = { requestTimeoutMs: 50, callDeadlineMs: 300 };
    for (const type of ['Silence', 'SilenceAfter'] as const) {
      const storage = open(connect(deadlines));
      proxy.reset({ method: 'PUT', path: '/a', fault: { type } });
      const error = await failing(storage.putIfAbsent('a', bytes('mine')));
      assert.deepEqual([error.outcome, error.retryable], ['Unknown', true], type);
      assert.match(error.message, /no answer in time/);
    }
  });

  test('an unknown try makes the outcome of the call unknown, also when the last one was surely not done', async () => {
    const storage = open();
    const denied: ProxyFault = { type: 'Answer', status: 403, body: s3Error('AccessDenied') };
    proxy.reset(
      { method: 'PUT', path: '/a', fault: { type: 'ResetBefore' }, times: 1 },
      { method: 'PUT', path: '/a', fault: denied },
    );
    const error = await failing(storage.putIfAbsent('a', bytes('mine')));
    assert.deepEqual([error.outcome, error.retryable, error.retry], ['Unknown', false, 'backoff']);
  });

  test('a message names what was asked, where, and what the server said', async () => {
    const storage = open();
    proxy.reset({ method: 'PUT', path: '/a', fault: slowDown });
    const error = await failing(storage.putIfAbsent('a', bytes('mine')));
    assert.equal(proxy.countOf('PUT'), limits.tryCountMax);
    assert.equal(error.outcome, 'Unknown');
    assert.match(error.message, /^could not write s3:\/\/checkpoints\/test-[0-9a-f-]+\/a at http:\/\/127\.0\.0\.1:\d+: /);
    assert.match(error.message, /fewer requests \(SlowDown, HTTP 503, request REQUEST-7\)$/);
  });

  test('what is no answer of S3 is unknown for a put and harmless for a read', async () => {
    const storage = open(connect({ callDeadlineMs: 200 }));
    const gateway: ProxyFault = { type: 'Answer', status: 502, body: '<html>Bad Gateway</html>' };
    proxy.reset({ method: 'PUT', path: '/a', fault: gateway }, { method: 'GET', path: '/a', fault: gateway });
    const put = await failing(storage.putIfAbsent('a', bytes('mine')));
    assert.deepEqual([put.outcome, put.retryable], ['Unknown', true]);
    assert.match(put.message, /HTTP 502/);
    const get = await failing(storage.get('a'));
    assert.deepEqual([get.outcome, get.retryable], ['NotApplied', true]);
  });

  test('a conflict with another request for the name (409) is tried again', async () => {
    const storage = open();
    const conflict: ProxyFault = { type: 'Answer', status: 409, body: s3Error('ConditionalRequestConflict') };
    proxy.reset({ method: 'PUT', path: '/a', fault: conflict, times: 1 });
    assert.equal(await storage.putIfAbsent('a', bytes('mine')), 'Created');
    proxy.reset({ method: 'POST', path: /large\?uploadId=/, fault: conflict, times: 1 });
    assert.equal(await storage.putIfAbsent('large', randomBytes(9 * mebibyte)), 'Created');
    assert.equal(proxy.countOf('POST', 'uploads'), 2, 'its parts are gone, so the upload begins anew');
  });

  test('wrong credentials and a missing bucket are refused at once and by name, and no secret is in the error', async () => {
    const wrongSecret = 'wrong-secret-9f3a';
    const wrong = await failing(open(connect({}, wrongSecret)).putIfAbsent('a', bytes('x')));
    assert.deepEqual([wrong.outcome, wrong.retryable, wrong.retry], ['NotApplied', false, 'backoff']);
    assert.match(
      wrong.message,
      /the secret key does not fit the access key.*AWS_SECRET_ACCESS_KEY.*SignatureDoesNotMatch, HTTP 403/,
    );
    assert.doesNotMatch(inspect(wrong, { depth: Infinity }), new RegExp(`${wrongSecret}|Signature=|Credential=`));
    const missing = open(connect(), 'no-such-bucket');
    for (const call of [() => missing.putIfAbsent('a', bytes('x')), () => missing.get('a'), () => missing.list('')]) {
      const error = await failing(call());
      assert.deepEqual([error.outcome, error.retryable, error.retry], ['NotApplied', false, 'never']);
      assert.match(error.message, /the bucket does not exist; create it.*NoSuchBucket/);
    }
    await assert.rejects(probeStorage(missing, 'nonce'), { code: 'CheckpointStorageNotWritable', retry: 'never' });
  });

  test('a server that is away for a while costs a while', async () => {
    const storage = open();
    await server.stop();
    const put = putObject({ storage, clock: systemClock }, 'a', bytes('content'));
    const away = await failing(open(connect({ callDeadlineMs: 200 })).list(''));
    assert.equal(away.outcome, 'NotApplied');
    await delay(1_000);
    await server.start();
    assert.equal(text(await getVerified(storage, await put)), 'content');
  });

  test('nobody listens: surely not done, and worth another try', async () => {
    const settings = { endpoint: 'http://127.0.0.1:1', isPathStyle: true, kmsKeyId: undefined };
    const deadlines = { retryDelayFirstMs: 10 };
    const connection = new S3Connection({ settings, share: transferShare(1), credentials: server.credentials, deadlines });
    const error = await failing(open(connection).putIfAbsent('a', bytes('x')));
    assert.deepEqual([error.outcome, error.retryable], ['NotApplied', true]);
    assert.match(error.message, /nobody listens there \(ECONNREFUSED\)/);
  });

  test('a download that is cut, slow or falls silent goes on where it was, and what comes is right', async () => {
    const content = randomBytes(20 * mebibyte);
    const storage = open(connect({ silenceTimeoutMs: 1_000 }));
    const large = await newFile(content);
    await storage.putFileIfAbsent('large', large);
    await storage.putIfAbsent('small', content.subarray(0, 100_000));
    for (const fault of [
      { type: 'Cut', afterBytes: 50_000 },
      { type: 'Delay', delayMs: 200 },
    ] as const) {
      proxy.reset({ method: 'GET', path: '/large', fault, times: 2 }, { method: 'GET', path: '/small', fault, times: 2 });
      const file = join(folder, randomUUID());
      assert.equal(await storage.getFile('large', file), 'Created');
      assert.equal(content.equals(await readFile(file)), true, fault.type);
      assert.equal(content.subarray(0, 100_000).equals((await storage.get('small')) ?? bytes('')), true, fault.type);
    }
  });

  test('a download that breaks off every time fails, and leaves no file', async () => {
    const storage = open();
    await storage.putIfAbsent('a', randomBytes(1_000));
    proxy.reset({ method: 'GET', path: '/a', fault: { type: 'Cut', afterBytes: 0 } });
    const file = join(folder, randomUUID());
    const error = await failing(storage.getFile('a', file));
    assert.deepEqual([error.outcome, error.retryable], ['NotApplied', true]);
    assert.equal(existsSync(file), false);
  });

  test('wrong bytes on the way are noticed and fetched again, in one piece and in many', async () => {
    const content = randomBytes(20 * mebibyte);
    const storage = open();
    await storage.putFileIfAbsent('large', await newFile(content));
    await storage.putIfAbsent('small', bytes('content'));
    proxy.reset(
      { method: 'GET', path: '/large', fault: { type: 'WrongByte', at: 70_000 }, times: 1 },
      { method: 'GET', path: '/small', fault: { type: 'WrongByte', at: 3 }, times: 1 },
    );
    assert.equal(text(await storage.get('small')), 'content');
    const file = join(folder, randomUUID());
    await storage.getFile('large', file);
    assert.equal(content.equals(await readFile(file)), true);
  });

  test('an object that became another in the storage is refused by name, also where only its length would be looked at', async () => {
    const storage = open();
    const content = randomBytes(1_000);
    const reference = await putObject({ storage, clock: systemClock }, 'a.sst', content);
    content[500] = (content[500] ?? 0) ^ 1;
    writeFileSync(join(server.directoryOf(server.bucket), storage.url.slice('s3://checkpoints/'.length), 'a.sst'), content);
    const file = join(folder, randomUUID());
    await assert.rejects(storage.getFile('a.sst', file), DamagedObjectError);
    const damaged = { code: 'CheckpointDamaged', retry: 'never', message: /a\.sst is damaged .*other content than was written/ };
    await assert.rejects(getVerifiedFile(storage, reference, file, 'Length'), damaged);
    await assert.rejects(getVerified(storage, reference), damaged);
    assert.equal(existsSync(file), false);
  });

  test('content that is damaged on the way to the server is refused there and sent again', async () => {
    const connection = connect();
    const { sdk, client } = await connection.api();
    const wrong = new sdk.PutObjectCommand({ Bucket: server.bucket, Key: 'wrong', Body: bytes('x'), ChecksumCRC32: 'AAAAAA==' });
    await assert.rejects(client.send(wrong), /checksum|digest/i);
    const storage = open(connection);
    proxy.reset({ method: 'PUT', path: '/a', fault: { type: 'Answer', status: 400, body: s3Error('BadDigest') }, times: 1 });
    assert.equal(await storage.putIfAbsent('a', bytes('x')), 'Created');
  });

  test('a large file goes in parts and comes in ranges', async () => {
    const content = randomBytes(40 * mebibyte + 12_345);
    const storage = open();
    const reference = referenceTo('large', content);
    const file = await newFile(content);
    await putObjectFile({ storage, clock: systemClock }, reference, file);
    assert.equal(proxy.countOf('PUT', 'partNumber='), 6);
    const copy = join(folder, randomUUID());
    await getVerifiedFile(storage, reference, copy, 'Content');
    assert.equal(proxy.countOf('GET', '/large'), 6);
    assert.equal(await storage.putFileIfAbsent('large', file), 'Occupied');
    assert.equal(proxy.countOf('PUT', 'partNumber='), 6, 'what is there is not sent again');
  });

  test('many large objects at once get by with few connections', async () => {
    const content = randomBytes(20 * mebibyte);
    const file = await newFile(content);
    const connection = new S3Connection({
      settings: { endpoint: server.endpoint, isPathStyle: true, kmsKeyId: undefined },
      share: { connectionCountMax: 2, uploadBytesInFlightMax: limits.partSizeBytes },
      credentials: server.credentials,
    });
    const storage = open(connection);
    const names = ['a', 'b', 'c', 'd', 'e'];
    await Promise.all(names.map((name) => storage.putFileIfAbsent(name, file)));
    const copies = names.map(() => join(folder, randomUUID()));
    await Promise.all(names.map((name, index) => storage.getFile(name, copies[index] ?? '')));
    for (const copy of copies) {
      assert.equal(content.equals(await readFile(copy)), true);
    }
  });

  test('of racing uploads in parts exactly one creates, and its bytes stay', async () => {
    const connection = connect();
    const storage = open(connection);
    const contents = Array.from({ length: 4 }, () => randomBytes(9 * mebibyte));
    const answers = await Promise.all(contents.map((content) => storage.putIfAbsent('large', content)));
    assert.equal(answers.filter((answer) => answer === 'Created').length, 1);
    assert.equal(contents[answers.indexOf('Created')]?.equals((await storage.get('large')) ?? bytes('')), true);
    assert.equal(await openUploads(connection, `${storage.url.slice('s3://checkpoints/'.length)}/`), 0);
  });

  test('an upload in parts survives lost answers of every kind of request', async () => {
    const content = randomBytes(20 * mebibyte);
    const storage = open();
    proxy.reset(
      { method: 'POST', path: /large\?uploads/, fault: slowDown, times: 1 },
      { method: 'PUT', path: 'partNumber=2', fault: { type: 'ResetAfter' }, times: 1 },
      { method: 'PUT', path: 'partNumber=3', fault: { type: 'ResetBefore' }, times: 1 },
    );
    assert.equal(await storage.putIfAbsent('large', content), 'Created');
    assert.equal(content.equals((await storage.get('large')) ?? bytes('')), true);
    proxy.reset({ method: 'POST', path: /other\?uploadId=/, fault: { type: 'ResetAfter' }, times: 1 });
    await storage.putIfAbsent('other', content);
    assert.equal(content.equals((await storage.get('other')) ?? bytes('')), true);
  });

  test('an upload that is gone when it is to be completed was completed by a try whose answer was lost, or is done again', async () => {
    const content = randomBytes(9 * mebibyte);
    const storage = open();
    const gone: ProxyFault = { type: 'Answer', status: 404, body: s3Error('NoSuchUpload') };
    proxy.reset(
      { method: 'POST', path: /done\?uploadId=/, fault: { type: 'ResetAfter' }, times: 1 },
      { method: 'POST', path: /done\?uploadId=/, fault: gone },
      { method: 'POST', path: /again\?uploadId=/, fault: gone, times: 1 },
    );
    assert.equal(await storage.putIfAbsent('done', content), 'Occupied');
    assert.equal(await storage.putIfAbsent('again', content), 'Created');
    assert.equal(proxy.countOf('POST', /again\?uploads/), 2);
  });

  test('an upload that fails is aborted, and one that a dead process left is removed', async () => {
    const connection = connect({ callDeadlineMs: 200 });
    const storage = open(connection);
    const prefix = `${storage.url.slice('s3://checkpoints/'.length)}/`;
    proxy.reset({ method: 'PUT', path: 'partNumber=2', fault: slowDown });
    const error = await failing(storage.putIfAbsent('large', randomBytes(20 * mebibyte)));
    assert.deepEqual([error.outcome, error.retryable], ['NotApplied', true], 'parts are no object');
    assert.equal(await openUploads(connection, prefix), 0);
    const { sdk, client } = await connection.api();
    await client.send(new sdk.CreateMultipartUploadCommand({ Bucket: server.bucket, Key: `${prefix}left` }));
    await removeStaleUploads(connection, { bucket: server.bucket, prefix, nowMs: Date.now() });
    assert.equal(await openUploads(connection, prefix), 1);
    await removeStaleUploads(connection, { bucket: server.bucket, prefix, nowMs: Date.now() + limits.staleUploadAgeMs + 60_000 });
    assert.equal(await openUploads(connection, prefix), 0);
  });

  test('the server copies large objects, between buckets too, and nothing passes here', async () => {
    const content = randomBytes(20 * mebibyte);
    const storage = open();
    await storage.putIfAbsent('large', content);
    const otherBucket = `other-${randomUUID()}`;
    mkdirSync(server.directoryOf(otherBucket));
    const other = open(connect(), otherBucket);
    proxy.reset();
    assert.equal(await other.copyFrom(storage, 'large', 'export/large'), 'Created');
    assert.deepEqual([proxy.countOf('GET'), proxy.countOf('PUT')], [0, 1]);
    assert.equal(content.equals((await other.get('export/large')) ?? bytes('')), true);
    proxy.reset({ method: 'PUT', path: 'partNumber=1', fault: slowDown, times: 1 });
    assert.equal(await other.copyFrom(storage, 'large', 'export/again'), 'Created');
    assert.equal(await other.copyFrom(storage, 'large', 'export/again'), 'Occupied');
  });

  test('listings and deletions of more than a thousand objects go in pages and batches', async () => {
    const storage = open();
    const directory = join(server.directoryOf(server.bucket), storage.url.slice('s3://checkpoints/'.length));
    const names = Array.from({ length: 2_100 }, (_, index) => `shared/${String(index).padStart(5, '0')}.sst`);
    mkdirSync(join(directory, 'shared'), { recursive: true });
    for (const name of names) {
      writeFileSync(join(directory, name), 'x');
    }
    proxy.reset();
    assert.deepEqual(
      (await storage.list('')).map(({ path }) => path),
      names,
    );
    assert.equal(proxy.countOf('GET'), 3);
    assert.deepEqual(
      (await storage.list('shared/', names[2_090])).map(({ path }) => path),
      names.slice(2_091),
    );
    proxy.reset();
    await storage.delete(names);
    assert.equal(proxy.countOf('POST', 'delete'), 3);
    assert.deepEqual(await storage.list(''), []);
  });

  test('of a batch of deletions the keys that failed are named; those that a moment heals are deleted', async () => {
    const storage = open();
    const failed = (key: string, code: string): string =>
      `<Error><Key>${key}</Key><Code>${code}</Code><Message>no</Message></Error>`;
    const answer = (...errors: readonly string[]): ProxyFault => ({
      type: 'Answer',
      status: 200,
      body: `<?xml version="1.0" encoding="UTF-8"?><DeleteResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${errors.join('')}</DeleteResult>`,
    });
    const prefix = storage.url.slice('s3://checkpoints/'.length);
    await storage.putIfAbsent('a', bytes('x'));
    proxy.reset({ method: 'POST', path: 'delete', fault: answer(failed(`${prefix}/a`, 'InternalError')), times: 1 });
    await storage.delete(['a', 'b']);
    assert.equal(await storage.get('a'), undefined);
    proxy.reset({ method: 'POST', path: 'delete', fault: answer(failed(`${prefix}/a`, 'AccessDenied')) });
    const error = await failing(storage.delete(['a', 'b']));
    assert.deepEqual([error.outcome, error.retryable, proxy.countOf('POST')], ['Unknown', false, 1]);
    assert.match(error.message, /could not delete 1 of 2 objects of s3:\/\/checkpoints.*\/a\): access denied/);
  });

  test('objects are encrypted with the key that is asked for, in one piece and in parts, and otherwise as the bucket is configured', async () => {
    const kmsKeyId = 'arn:aws:kms:eu-west-1:111122223333:key/1';
    const settings = { endpoint: proxy.endpoint, isPathStyle: true, kmsKeyId };
    const storage = open(new S3Connection({ settings, share: transferShare(1), credentials: server.credentials }));
    const stop: ProxyFault = { type: 'Answer', status: 400, body: s3Error('KMS.DisabledException') };
    proxy.reset({ method: 'PUT', path: '/a', fault: stop }, { method: 'POST', path: '/large', fault: stop });
    for (const put of [
      () => storage.putIfAbsent('a', bytes('x')),
      () => storage.putIfAbsent('large', randomBytes(9 * mebibyte)),
    ]) {
      const error = await failing(put());
      assert.deepEqual([error.outcome, error.retry], ['NotApplied', 'backoff']);
      assert.match(error.message, /the key that encrypts the bucket cannot be used \(KMS.DisabledException/);
      const { headers } = proxy.requests.at(-1) ?? assert.fail();
      assert.equal(headers['x-amz-server-side-encryption'], 'aws:kms');
      assert.equal(headers['x-amz-server-side-encryption-aws-kms-key-id'], kmsKeyId);
    }
    proxy.reset();
    await open().putIfAbsent('a', bytes('x'));
    assert.equal(proxy.requests[0]?.headers['x-amz-server-side-encryption'], undefined);
  });

  test('a server that ignores the condition is found out by the probe', async () => {
    const storage = open();
    const created: ProxyFault = { type: 'Answer', status: 200, body: '' };
    proxy.reset({ method: 'PUT', path: 'probe', fault: created });
    await assert.rejects(probeStorage(storage, randomUUID()), {
      code: 'CheckpointStorageUnsafe',
      message: /two writers created one name/,
    });
    const notImplemented: ProxyFault = { type: 'Answer', status: 501, body: s3Error('NotImplemented') };
    proxy.reset({ method: 'PUT', path: 'probe', fault: notImplemented });
    await assert.rejects(probeStorage(storage, randomUUID()), {
      code: 'CheckpointStorageNotWritable',
      retry: 'never',
      message: /does not support a request that checkpoints need \(NotImplemented, HTTP 501/,
    });
  });
}
