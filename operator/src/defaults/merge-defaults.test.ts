import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PodTemplate } from '../api/pod-template.ts';
import { mergePodTemplates } from '../platform/kubernetes/merge-pod-templates.ts';
import { mergeDefaults, type SpecDefaults } from './merge-defaults.ts';

// What a FlinkJob says on top of what its namespace says. Which of the two counts when is in choose-defaults.test.ts.

const cases: readonly (readonly [name: string, defaults: SpecDefaults, written: unknown, together: unknown])[] = [
  [
    'maps are merged field by field, and what the FlinkJob says counts',
    { checkpoints: { intervalSeconds: 30, retain: 5 }, upgrade: { rollback: { maxRestarts: 1 } } },
    { checkpoints: { intervalSeconds: 10 }, job: { module: 'm' } },
    { checkpoints: { intervalSeconds: 10, retain: 5 }, upgrade: { rollback: { maxRestarts: 1 } }, job: { module: 'm' } },
  ],
  [
    'a restart strategy is taken as a whole, because its fields go with its type',
    { restartStrategy: { type: 'FixedDelay', attempts: 5 } },
    { restartStrategy: { type: 'ExponentialDelay' } },
    { restartStrategy: { type: 'ExponentialDelay' } },
  ],
  [
    'a local disk is taken as a whole, because its class goes with its size',
    { state: { localStorage: { size: '50Gi', storageClassName: 'ssd' } } },
    { state: { checkpointStorage: 's3://bucket', localStorage: { size: '1Gi' } } },
    { state: { checkpointStorage: 's3://bucket', localStorage: { size: '1Gi' } } },
  ],
  [
    'variables and mounts are merged by name and path, in the order of their first mention',
    {
      podTemplate: {
        env: [
          { name: 'A', value: 'default' },
          { name: 'B', value: 'default' },
        ],
        volumeMounts: [{ name: 'ca', mountPath: '/ca' }],
      },
    },
    {
      podTemplate: {
        env: [
          { name: 'C', value: 'own' },
          { name: 'A', value: 'own' },
        ],
        volumeMounts: [{ name: 'other', mountPath: '/ca' }],
      },
    },
    {
      podTemplate: {
        env: [
          { name: 'A', value: 'own' },
          { name: 'B', value: 'default' },
          { name: 'C', value: 'own' },
        ],
        volumeMounts: [{ name: 'other', mountPath: '/ca' }],
      },
    },
  ],
  [
    'sources of variables come before those of the FlinkJob, which keep their order',
    { podTemplate: { envFrom: [{ secretRef: { name: 'a' } }, { secretRef: { name: 'b' } }] } },
    { podTemplate: { envFrom: [{ secretRef: { name: 'c' } }, { secretRef: { name: 'a' } }] } },
    { podTemplate: { envFrom: [{ secretRef: { name: 'b' } }, { secretRef: { name: 'c' } }, { secretRef: { name: 'a' } }] } },
  ],
  [
    'what the FlinkJob says for all its pods is not undone by what is said for a role',
    {
      taskManager: {
        podTemplate: {
          env: [
            { name: 'A', value: 'default' },
            { name: 'B', value: 'default' },
          ],
          nodeSelector: { disk: 'ssd', zone: 'a' },
          priorityClassName: 'low',
        },
      },
    },
    { podTemplate: { env: [{ name: 'A', value: 'own' }], nodeSelector: { zone: 'b' }, priorityClassName: 'high' } },
    {
      taskManager: { podTemplate: { env: [{ name: 'B', value: 'default' }], nodeSelector: { disk: 'ssd' } } },
      podTemplate: { env: [{ name: 'A', value: 'own' }], nodeSelector: { zone: 'b' }, priorityClassName: 'high' },
    },
  ],
];

for (const [name, defaults, written, together] of cases) {
  test(name, () => {
    assert.deepEqual(mergeDefaults(defaults, written), together);
  });

  test(`merging twice is merging once: ${name}`, () => {
    const once = mergeDefaults(defaults, written);
    assert.deepEqual(mergeDefaults(defaults, once), once);
  });
}

test('without defaults a spec stays the very same, and so does what is no spec', () => {
  const written = { job: { module: 'm' } };
  assert.equal(mergeDefaults(undefined, written), written);
  assert.equal(mergeDefaults({ checkpoints: {} }, undefined), undefined);
});

test('pod templates are merged as the one of a role is with that of all pods', () => {
  const below: PodTemplate = {
    labels: { team: 'a', stage: 'test' },
    env: [{ name: 'A', value: '1' }],
    envFrom: [{ secretRef: { name: 'bucket' } }],
    tolerations: [
      { key: 'spot', operator: 'Exists', effect: 'NoSchedule' },
      { key: 'spot', operator: 'Exists', effect: 'NoExecute' },
      { key: 'gpu', operator: 'Exists' },
    ],
    containers: [{ name: 'proxy', image: 'proxy:1' }],
    securityContext: { runAsUser: 1000, fsGroup: 2000 },
  };
  const above: PodTemplate = {
    labels: { stage: 'live' },
    env: [{ name: 'B', value: '2' }],
    envFrom: [{ configMapRef: { name: 'own' } }],
    tolerations: [{ key: 'spot', operator: 'Exists', effect: 'NoExecute' }],
    containers: [{ name: 'proxy', image: 'proxy:2' }],
    securityContext: { runAsUser: 3000 },
  };
  const merged = mergeDefaults({ podTemplate: below }, { podTemplate: above }) as { readonly podTemplate: PodTemplate };
  const expected = mergePodTemplates(below, above);
  const byKey = (template: PodTemplate) => template.tolerations?.toSorted((a, b) => String(a.key).localeCompare(String(b.key)));
  assert.deepEqual(byKey(merged.podTemplate), byKey(expected));
  for (const field of ['labels', 'env', 'envFrom', 'containers', 'securityContext'] as const) {
    assert.deepEqual(merged.podTemplate[field], expected[field], field);
  }
});
