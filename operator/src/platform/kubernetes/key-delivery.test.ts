// What an operator that was away signs its requests with, until the pods have the keys that it writes. How keys turn is in credentials/held-keys.test.ts, and that pods get them in
// test/integration/kubernetes-platform.test.ts.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Credentials, type JobKeys } from '@flinkjob/runtime/credentials';
import { deriveJobKeys } from '../../credentials/derive-job-keys.ts';
import { periodsOf } from '../../credentials/held-keys.ts';
import { JobCredentials } from '../../credentials/job-credentials.ts';
import type { KubernetesObject, ObjectClient } from '../../kubernetes/object-client.ts';
import { silentLog } from '../../log.ts';
import { KeyDelivery } from './key-delivery.ts';

const job = { namespace: 'streams', name: 'words', uid: 'uid-1' };
const roots = { current: Buffer.from('ab'.repeat(20)), next: undefined, previous: undefined };
const periodMs = 86_400_000;

/** Objects by kind; nothing else is asked of the API here. */
function memoryClient(): ObjectClient {
  const objects = new Map<string, KubernetesObject>();
  const client: Pick<ObjectClient, 'apply' | 'get'> = {
    apply: async <T extends KubernetesObject>(object: T) => {
      objects.set(object.kind, object);
      return object;
    },
    get: async <T extends KubernetesObject>({ kind }: { readonly kind: string }) => objects.get(kind) as T | undefined,
  };
  return client as ObjectClient;
}

test('requests of an operator that was away for days are accepted before, while and after its keys reach the pods', async () => {
  const client = memoryClient();
  let nowMs = 100 * periodMs;
  const operator = () => {
    const credentials = new JobCredentials({ roots: () => roots, nowMs: () => nowMs, periodMs });
    return { credentials, delivery: new KeyDelivery({ client, credentials, log: silentLog }) };
  };
  await operator().delivery.deliver(job);
  nowMs += 7 * periodMs;
  const { credentials, delivery } = operator();
  const audience = 'Rest';
  const isAcceptedBy = (keys: JobKeys) => {
    const jobManager = new Credentials({ role: 'JobManager', keys: () => keys, nowMs: () => nowMs });
    const token = credentials.callerOf(job, 'Controller').prove({ audience });
    jobManager.verify(token, { audience, roles: ['Controller'], what: 'a request' });
  };
  const fileOf = (period: Parameters<typeof periodsOf>[0]) => deriveJobKeys(roots, job, periodsOf(period));
  assert.throws(() => isAcceptedBy(fileOf({ period: 100 })), 'nobody has looked at the job yet');
  await delivery.turn(job);
  isAcceptedBy(fileOf({ period: 100 }));
  isAcceptedBy(fileOf({ period: 100, announced: 107 }));
  nowMs += 180_000;
  await delivery.turn(job);
  isAcceptedBy(fileOf({ period: 100, announced: 107 }));
  isAcceptedBy(fileOf({ period: 107, before: 100 }));
  nowMs += 180_000;
  await delivery.turn(job);
  isAcceptedBy(fileOf({ period: 107, before: 100 }));
  isAcceptedBy(fileOf({ period: 107 }));
});
