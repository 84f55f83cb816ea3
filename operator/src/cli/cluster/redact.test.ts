import assert from 'node:assert/strict';
import { test } from 'node:test';
import { redactText, redactValue } from './redact.ts';

const hidden = '(hidden)';

test('fields whose names sound like credentials are hidden, at any depth; what only refers to a Secret stays', () => {
  const object = {
    metadata: { name: 'n', managedFields: [1], annotations: { 'kubectl.kubernetes.io/last-applied-configuration': '{}' } },
    spec: {
      job: { args: { topic: 'words', token: 'x', dbPassword: 'x', brokers: 'kafka://me:pw@host' } },
      restore: { from: 'None', token: 'again' },
      podTemplate: {
        env: [
          { name: 'REGION', value: 'eu' },
          { name: 'KEY', valueFrom: { secretKeyRef: { name: 'bucket', key: 'key' } } },
        ],
        envFrom: [{ secretRef: { name: 'bucket' } }],
      },
    },
  };
  assert.deepEqual(redactValue(object), {
    metadata: { name: 'n', annotations: {} },
    spec: {
      job: { args: { topic: 'words', token: hidden, dbPassword: hidden, brokers: `kafka://${hidden}@host` } },
      restore: { from: 'None', token: 'again' },
      podTemplate: {
        env: [
          { name: 'REGION', value: hidden },
          { name: 'KEY', valueFrom: { secretKeyRef: { name: 'bucket', key: 'key' } } },
        ],
        envFrom: [{ secretRef: { name: 'bucket' } }],
      },
    },
  });
});

test('texts lose what has the form of a credential, and nothing else', () => {
  for (const [text, expected] of [
    ['s3://key:secret@bucket/path', `s3://${hidden}@bucket/path`],
    ['Authorization: Bearer abcdefghijkl', `Authorization: Bearer ${hidden}`],
    ['id AKIAABCDEFGHIJKLMNOP used', `id ${hidden} used`],
    ['{"password":"x","topic":"words"}', `{"password":"${hidden}","topic":"words"}`],
    ['--api-token=abc --parallelism=2', `--api-token=${hidden} --parallelism=2`],
    ['token=abc', `token=${hidden}`],
    ['checkpoint 42 is complete: s3://bucket/chk-000042-e3', 'checkpoint 42 is complete: s3://bucket/chk-000042-e3'],
  ] as const) {
    assert.equal(redactText(text), expected);
  }
});
