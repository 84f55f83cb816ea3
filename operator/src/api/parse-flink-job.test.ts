import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseFlinkJob } from './parse-flink-job.ts';

// What a person reads after a mistake: where, what was expected, what was found, and what to do.

type Fields = Record<string, unknown>;

function flinkJob(spec: Fields = {}, metadata: Fields = {}): Fields {
  return {
    apiVersion: 'flinkjob.dev/v1alpha1',
    kind: 'FlinkJob',
    metadata: { name: 'word-count', ...metadata },
    spec: { job: { module: 'word-count.ts' }, state: { checkpointStorage: 'file:./checkpoints' }, ...spec },
  };
}

test('what is left out gets its default', () => {
  const parsed = parseFlinkJob(flinkJob());
  assert.ok(parsed.ok);
  assert.equal(parsed.value.metadata.namespace, 'default');
  assert.equal(parsed.value.spec.upgrade.mode, 'Savepoint');
  assert.equal(parsed.value.spec.checkpoints.intervalSeconds, 10);
});

const job = { module: 'a.ts' };
const mistakes: readonly (readonly [string, unknown, string, string])[] = [
  [
    'a wrong type',
    flinkJob({ job: { ...job, parallelism: 'four' } }),
    'spec.job.parallelism: expected an integer from 1 to 32768, got "four"',
    'Correct it, or remove the line to get the default 1.',
  ],
  [
    'a number in quotes',
    flinkJob({ job: { ...job, parallelism: '4' } }),
    'spec.job.parallelism: expected an integer from 1 to 32768, got "4"',
    'Remove the quotes: parallelism: 4.',
  ],
  [
    'a mistyped field',
    flinkJob({ job: { ...job, paralelism: 4 } }),
    'spec.job.paralelism: unknown field',
    'Did you mean spec.job.parallelism?',
  ],
  [
    'a field at the wrong depth',
    flinkJob({ parallelism: 4 }),
    'spec.parallelism: unknown field',
    'Did you mean spec.job.parallelism?',
  ],
  [
    'a field that nothing resembles',
    flinkJob({ zebra: 4 }),
    'spec.zebra: unknown field',
    'Remove it. Known here: engine, image, job, upgrade, restore, state, checkpoints, savepoints, jobManager, taskManager, podTemplate, restartStrategy, recovery, restartNonce, ttlSecondsAfterFinished, revisionHistoryLimit.',
  ],
  [
    'an argument that is a number',
    flinkJob({ job: { ...job, args: { port: 9000 } } }),
    'spec.job.args.port: expected a string, got 9000',
    'Put it in quotes: port: "9000".',
  ],
  [
    'a mistyped value',
    flinkJob({ upgrade: { mode: 'LastSate' } }),
    'spec.upgrade.mode: expected one of Savepoint, LastState, Stateless, got "LastSate"',
    'Did you mean LastState?',
  ],
  ['a missing part', flinkJob({ state: undefined }), 'spec.state: expected a map of fields, got nothing', 'Add spec.state.'],
  [
    'an amount of memory that is none',
    flinkJob({ taskManager: { resources: { limits: { memory: '2 GB' } } } }),
    'spec.taskManager.resources.limits.memory: expected an amount of bytes such as 2Gi or 512Mi, got "2 GB"',
    'Correct spec.taskManager.resources.limits.memory.',
  ],
  [
    'storage of a kind that there is not',
    flinkJob({ state: { checkpointStorage: 'gs://bucket' } }),
    'spec.state.checkpointStorage: expected a URL such as s3://bucket/prefix or file:///directory, got "gs://bucket"',
    'Correct spec.state.checkpointStorage.',
  ],
  [
    'more parallelism than key groups',
    flinkJob({ job: { ...job, parallelism: 200 } }),
    'spec.job.parallelism: expected at most spec.job.maxParallelism, got 200',
    'Correct it, or remove the line to get the default 1.',
  ],
  [
    'key groups that are no power of two',
    flinkJob({ job: { ...job, maxParallelism: 200 } }),
    'spec.job.maxParallelism: expected a power of two from 128 to 32768, got 200',
    'Correct it, or remove the line to get the default 128.',
  ],
  [
    'fewer key groups than the runtime divides state into',
    flinkJob({ job: { ...job, maxParallelism: 64 } }),
    'spec.job.maxParallelism: expected an integer from 128 to 32768, got 64',
    'Correct it, or remove the line to get the default 128.',
  ],
  [
    'a path that is asked for and not given',
    flinkJob({ restore: { from: 'Path' } }),
    'spec.restore.path: expected a checkpoint folder, because spec.restore.from is Path, got nothing',
    'Add spec.restore.path, such as chk-000117-e7 (flinkjob lineage lists them).',
  ],
  [
    'a name that Kubernetes would not take',
    flinkJob({}, { name: 'Word_Count' }),
    'metadata.name: expected lower-case letters, digits and dashes, beginning with a letter (names: at most 45 characters), got "Word_Count"',
    'Correct metadata.name.',
  ],
  ['text instead of a resource', 'hello', 'the resource: expected a map of fields, got "hello"', 'Correct the resource.'],
];

for (const [name, input, message, remedy] of mistakes) {
  test(`${name} is explained`, () => {
    const parsed = parseFlinkJob(input);
    assert.ok(!parsed.ok);
    assert.deepEqual(
      parsed.problems.map((problem) => [problem.message, problem.remedy]),
      [[message, remedy]],
    );
  });
}

test('all mistakes are told at once', () => {
  const parsed = parseFlinkJob(flinkJob({ job: { parallelism: 0, maxParallelism: 'x' } }));
  assert.ok(!parsed.ok);
  assert.equal(parsed.problems.length, 3);
});
