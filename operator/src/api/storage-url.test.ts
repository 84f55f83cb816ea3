import assert from 'node:assert/strict';
import { test } from 'node:test';
import { normalizedStorageUrl } from './storage-url.ts';

test('one place has one spelling', () => {
  for (const url of ['file:/mnt/check points', 'file:///mnt/check points/', 'file:///mnt/check%20points', '/mnt/check points/']) {
    assert.equal(normalizedStorageUrl(url), 'file:///mnt/check%20points', url);
  }
  assert.equal(normalizedStorageUrl('s3://bucket/jobs//'), 's3://bucket/jobs');
  assert.equal(`${normalizedStorageUrl('file:///')}/team/words`, 'file:///team/words');
});

test('what names no file stays as it is', () => {
  assert.equal(normalizedStorageUrl('file://host/mnt'), 'file://host/mnt');
});
