import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kinds, type Pod } from './kubernetes-objects.ts';
import { preFlightFactOf } from './platform-facts.ts';

// What becomes of pods that answer is in test/integration/kubernetes-platform.test.ts, how they start and end in pod-state.test.ts.

test('a pre-flight that ends well without an answer names its image, which is not made from the runtime’s', () => {
  const pod: Pod = {
    ...kinds.pod,
    metadata: { namespace: 'streams', name: 'words-plan-1' },
    spec: { containers: [{ name: 'flinkjob', image: 'example/other:1' }] },
    status: { phase: 'Succeeded', containerStatuses: [{ name: 'flinkjob', state: { terminated: { exitCode: 0 } } }] },
  };
  const job = { metadata: { namespace: 'streams', name: 'words-plan' } };
  const fact = preFlightFactOf('uid-1/r1/pre-flight/1', job, pod, 0);
  assert.ok(fact.state === 'Failed' && fact.problem.code === 'PreFlightFailed');
  assert.match(fact.problem.message, /words-plan-1 of image example\/other:1 ended without an answer/);
  assert.match(fact.problem.remedy ?? '', /made from the runtime image.*kubectl logs words-plan-1 --namespace streams/);
});
