// The URL, and what the environment says beside it.
import assert from 'node:assert/strict';
import test from 'node:test';
import { openCheckpointStorage, openStorageAt } from '../open-checkpoint-storage.ts';
import { parseS3Url } from './s3-location.ts';
import { readS3Settings } from './s3-settings.ts';

test('a URL names a bucket and a prefix', () => {
  assert.deepEqual(parseS3Url('s3://bucket'), { bucket: 'bucket', prefix: '' });
  assert.deepEqual(parseS3Url('s3://my.bucket-1/'), { bucket: 'my.bucket-1', prefix: '' });
  assert.deepEqual(parseS3Url('s3://bucket/a/b//'), { bucket: 'bucket', prefix: 'a/b' });
  assert.equal(openStorageAt('s3://bucket/a/').url, 's3://bucket/a');
  const lineage = { namespace: 'default', name: 'job' };
  assert.equal(openCheckpointStorage('s3://bucket/a/', lineage).url, 's3://bucket/a/default/job');
  assert.equal(openCheckpointStorage('s3://bucket', lineage).url, 's3://bucket/default/job');
});

test('what cannot be a bucket or a prefix is refused by name', () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ['s3:bucket', /not of the form s3:\/\/bucket\/prefix/],
    ['s3://bucket/a?region=x', /endpoint and region come from the environment/],
    ['s3:///a', /no name of a bucket/],
    ['s3://Bucket/a', /no name of a bucket/],
    ['s3://key:secret@bucket/a', /^checkpointStorage: an s3: URL holds no credentials; they come from the environment$/],
    ['s3://bucket/a?secret=x', /^((?!secret=).)*$/],
    ['s3://bucket/a b', /no path of an object/],
    ['s3://bucket/../a', /no path of an object/],
    ['s3://bucket/a//b', /no path of an object/],
    ['s3://fast--use1-az4--x-s3/a', /directory bucket.*whose listings have no order/],
  ];
  for (const [url, message] of cases) {
    assert.throws(() => openStorageAt(url), { code: 'CheckpointStorageUnsupported', message }, url);
  }
});

test('a server of its own is asked with the bucket in the path, unless the environment says otherwise', () => {
  assert.deepEqual(readS3Settings({}), { endpoint: undefined, isPathStyle: false, kmsKeyId: undefined });
  const endpoint = 'http://minio:9000';
  assert.deepEqual(readS3Settings({ AWS_ENDPOINT_URL: endpoint }), { endpoint, isPathStyle: true, kmsKeyId: undefined });
  const both = { AWS_ENDPOINT_URL: 'http://other', AWS_ENDPOINT_URL_S3: endpoint };
  assert.equal(readS3Settings(both).endpoint, endpoint);
  assert.equal(readS3Settings({ ...both, FLINKJOB_S3_PATH_STYLE: 'false' }).isPathStyle, false);
  assert.equal(readS3Settings({ FLINKJOB_S3_KMS_KEY_ID: 'alias/checkpoints' }).kmsKeyId, 'alias/checkpoints');
  assert.throws(
    () => readS3Settings({ FLINKJOB_S3_PATH_STYLE: 'yes' }),
    /FLINKJOB_S3_PATH_STYLE must be true or false, not 'yes'/,
  );
});
