import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isSameStorage, lineageUrlOf, normalizedStorageUrl } from './storage-url.ts';

test('one place has one spelling', () => {
  for (const url of ['file:/mnt/check points', 'file:///mnt/check points/', 'file:///mnt/check%20points', '/mnt/check points/']) {
    assert.equal(normalizedStorageUrl(url), 'file:///mnt/check%20points', url);
  }
  assert.equal(normalizedStorageUrl('s3://bucket/jobs//'), 's3://bucket/jobs');
  assert.ok(isSameStorage('s3://bucket/jobs', 's3://bucket/jobs/'));
  assert.ok(!isSameStorage('s3://bucket/jobs', 's3://bucket/job'));
});

test('a lineage has one spelling too', () => {
  const words = { namespace: 'team', name: 'words' };
  assert.equal(lineageUrlOf('file:///', words), 'file:///team/words');
  assert.equal(lineageUrlOf('file:/mnt/', words), 'file:///mnt/team/words');
  assert.equal(lineageUrlOf('s3://bucket/jobs/', words), 's3://bucket/jobs/team/words');
});

test('what names no file stays as it is', () => {
  assert.equal(normalizedStorageUrl('file://host/mnt'), 'file://host/mnt');
});
