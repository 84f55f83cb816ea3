// Covers what each command prints from given facts. That the facts are right is covered by tests on real processes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jobStatus } from '../../../test/fakes/live-view.ts';
import type { StoredFlinkJob } from '../../api/flink-job.ts';
import type { FlinkJobStatus } from '../../api/flink-job-status.ts';
import { commandHelp, parseCommandLine } from '../command-line.ts';
import { isLogLine } from '../dev/job-output.ts';
import { startCommandOf, thingsToTry } from '../dev/things-to-try.ts';
import { commands } from './commands.ts';
import { describeLines } from './describe.ts';
import { jobTable } from './get.ts';
import { selectLogs } from './logs.ts';
import { planLines, runPlan } from './plan.ts';

const time = '2026-01-01T00:00:00.000Z';
const nowMs = Date.parse('2026-01-01T00:02:00.000Z');

function flinkJob(name: string, status: Partial<FlinkJobStatus> | undefined): StoredFlinkJob {
  return {
    apiVersion: 'flinkjob.dev/v1alpha1',
    kind: 'FlinkJob',
    metadata: {
      name,
      namespace: 'default',
      uid: 'u',
      generation: 1,
      resourceVersion: '1',
      creationTimestamp: time,
      finalizers: [],
    },
    spec: { job: { module: '/jobs/words.ts', args: { text: 'a b' } }, state: { checkpointStorage: 'file:///c' } },
    ...(status === undefined ? {} : { status: { state: 'Running', conditions: [], rollouts: 1, restarts: 0, ...status } }),
  };
}

const running: Partial<FlinkJobStatus> = {
  revision: 'aaa',
  parallelism: 2,
  restarts: 3,
  attempt: { number: 4, token: 't', startedTime: time, taskManagers: 1, instance: 1, instanceTime: time, restoreFrom: 'Latest' },
  lastCheckpoint: { id: 42, kind: 'Checkpoint', path: 'chk-000042-e3', completedTime: '2026-01-01T00:01:55.000Z' },
  lastCheckpointTime: '2026-01-01T00:01:55.000Z',
  conditions: [
    {
      type: 'Ready',
      status: 'True',
      reason: 'Running',
      message: 'The job runs.',
      lastTransitionTime: time,
      observedGeneration: 1,
    },
  ],
};

test('every command explains itself with an example that it accepts', () => {
  for (const { description, raw } of commands) {
    const help = commandHelp(description);
    assert(help.includes(`flinkjob ${description.name}`) && description.examples.length > 0, description.name);
    for (const { line } of description.examples) {
      const [program, name, ...args] = line.split(' ');
      assert.deepEqual([program, name], ['flinkjob', description.name]);
      if (raw === undefined) {
        parseCommandLine(description, args);
      }
    }
  }
});

test('the table lists jobs by name, those that no controller has seen too', () => {
  const table = jobTable([flinkJob('words', running), flinkJob('b', undefined)], { nowMs, wide: false });
  assert.deepEqual(table, [
    'NAMESPACE  NAME   STATE    READY    PARALLELISM  LAST CHECKPOINT  RESTARTS  REVISION  AGE',
    'default    b      Unknown  Unknown  0            –                0         –         2m 00s',
    'default    words  Running  True     2            5 s ago          3         aaa       2m 00s',
  ]);
  assert.match(jobTable([flinkJob('words', running)], { nowMs, wide: true })[0] ?? '', /ATTEMPT +RESTORED +REST$/);
});

test('a description begins with what is wrong and what to do about it', () => {
  const lines = describeLines({
    flinkJob: flinkJob('words', {
      ...running,
      error: { code: 'StateMissing', message: 'counts lost its state', remedy: 'Bring it back.' },
    }),
    job: jobStatus(),
    nowMs,
  });
  const text = lines.join('\n');
  const order = [
    'Name:',
    'StateMissing: counts lost its state',
    'What to do: Bring it back.',
    'Spec:',
    'text=a b',
    'chk-000042-e3',
    'text -> words',
    'Ready=True Running',
  ];
  const places = order.map((part) => text.indexOf(part));
  assert(!places.includes(-1), text);
  assert.deepEqual(
    [...places].sort((a, b) => a - b),
    places,
  );
});

test('a description tells what was rolled back and why, what the rollouts before came to, and whether one could go back', () => {
  const problem = { code: 'TooManyRestarts', message: 'it restarted 4 times' };
  const time = new Date(nowMs - 60_000).toISOString();
  const condition = { lastTransitionTime: time, observedGeneration: 1, message: 'Revision aaa reads the newest checkpoint.' };
  const text = describeLines({
    flinkJob: flinkJob('words', {
      ...running,
      conditions: [{ ...condition, type: 'RollbackAvailable', status: 'True', reason: 'StateReadable' }],
      rolledBack: { revision: 'bbb', generation: 2, time, problem },
      history: [
        { id: 2, reason: 'Upgrade', revision: 'bbb', outcome: 'RolledBack', startedTime: time, endedTime: time, problem },
        { id: 1, reason: 'Start', revision: 'aaa', outcome: 'Completed', startedTime: time, endedTime: time },
      ],
    }),
    job: undefined,
    nowMs,
  }).join('\n');
  assert.match(text, /Rolled back:\n +Revision: +bbb\n +When: +1m 00s ago\n +Why: +it restarted 4 times/);
  assert.match(
    text,
    /2 Upgrade to bbb, RolledBack 1m 00s ago: TooManyRestarts: it restarted 4 times\n +1 Start to aaa, Completed/,
  );
  assert.match(text, /RollbackAvailable=True StateReadable/);
});

test('a job that no controller has seen, or whose spec is not valid, is described all the same', () => {
  const bare = flinkJob('words', undefined);
  assert.match(describeLines({ flinkJob: bare, job: undefined, nowMs }).join('\n'), /State: +Unknown/);
  assert.match(
    describeLines({ flinkJob: { ...bare, spec: { job: 3 } }, job: undefined, nowMs }).join('\n'),
    /spec\.job: expected/,
  );
});

test('a plan says from what, or why not and what to do', () => {
  const plan = {
    ok: true,
    problems: [],
    jobGraphHash: 'h',
    vertices: [{ id: 'text', name: 'text -> words', parallelism: 2 }],
    slotsRequired: 2,
    lineage: { attemptNumber: 3, epoch: 3, restorePath: 'chk-000042-e3', owner: undefined },
    restore: [
      {
        uid: 'counts',
        action: 'Restore' as const,
        detail: 'counts: 2 parts',
        changes: ["state 'count': widened: the value from int to double"],
        bytesToMove: 2048,
      },
    ],
    bytesToMove: 2048,
    bytesToMoveBySubtask: [
      { task: 'counts#0', bytes: 1024 },
      { task: 'counts#1', bytes: 1024 },
    ],
  };
  assert.deepEqual(planLines('default/words', plan), [
    'default/words can start from chk-000042-e3, 2.0 KiB to read.',
    '',
    'Vertices, 2 slots needed:',
    '  text -> words  ×2',
    '',
    'State:',
    '  Restore  counts: 2 parts, 2.0 KiB',
    "           state 'count': widened: the value from int to double",
    '',
    'To read, by subtask:',
    '  counts#0  1.0 KiB',
    '  counts#1  1.0 KiB',
  ]);
  const from = 'file:///backup';
  const fork = { ...plan, lineage: { ...plan.lineage, restorePath: from }, import: { url: from, fileCount: 3, sizeBytes: 4096 } };
  assert.deepEqual(planLines('default/words', fork).slice(0, 2), [
    'default/words can start from file:///backup, 2.0 KiB to read.',
    'Copied into the lineage first: 3 files, 4.0 KiB.',
  ]);
  const rewind = { ...plan, lineage: { ...plan.lineage, setsAside: 'chk-000050-e3' } };
  assert.match(planLines('default/words', rewind)[1] ?? '', /^Set aside: chk-000050-e3, the newest state\./);
  const refused = {
    ...fork,
    ok: false,
    problems: [{ code: 'StateDropped', message: 'counts is gone', remedy: 'Allow it.' }],
    vertices: [],
    restore: [],
    bytesToMoveBySubtask: [],
  };
  assert.deepEqual(planLines('default/words', refused), [
    'default/words cannot start:',
    '  StateDropped: counts is gone',
    '    What to do: Allow it.',
  ]);
});

test('a plan whose process never answers is ended after its time, by name', async () => {
  const nodeOptions = ['-e', 'for (;;);'];
  const endless = { nodeOptions, program: () => '--', config: {}, args: () => [], workingDirectory: process.cwd() };
  await assert.rejects(runPlan(endless, 200), /gave no answer within 0\.2 seconds/);
});

test('logs are found by the names that people type', () => {
  const files = ['job-manager', 'task-manager-0', 'task-manager-1', 'task-manager-10', 'operator'].map((process) => ({
    process,
    path: process,
  }));
  const names = (wanted: string | undefined) => selectLogs(files, wanted).map(({ process }) => process);
  assert.deepEqual(names('jobmanager'), ['job-manager']);
  assert.deepEqual(names('TaskManager-1'), ['task-manager-1']);
  assert.deepEqual(names('task-manager'), ['task-manager-0', 'task-manager-1', 'task-manager-10']);
  assert.deepEqual(names('operator'), ['operator']);
  assert.deepEqual(names(undefined), ['job-manager', 'task-manager-0', 'task-manager-1', 'task-manager-10']);
  assert.deepEqual(names('nobody'), []);
});

test('things to try name the real pid, file, line and command, as far as they are known', () => {
  const facts = { taskManagerPid: 4242, fileName: 'a.yaml', parallelism: 2, parallelismLine: 16, startCommand: 'npm start' };
  const tips = thingsToTry(facts).join('\n');
  assert.match(tips, /kill -9 4242 .*\n.*parallelism: 3 in a\.yaml, line 16, .*\nCtrl-C, then npm start:/);
  assert.equal(thingsToTry({ ...facts, taskManagerPid: undefined, parallelismLine: undefined }).length, 1);
  assert.deepEqual(
    ['start', 'flinkjob', undefined].map((event) => startCommandOf({ npm_lifecycle_event: event }, 'a.yaml')),
    ['npm start', 'npm run flinkjob -- dev a.yaml', 'flinkjob dev a.yaml'],
  );
});

test('the log of a process is told from what its job prints', () => {
  assert(isLogLine('{"level":30,"time":1,"pid":2,"msg":"started"}'));
  for (const printed of ['{"level":1}', '(the,12)', '', '{"word":"time","count":2}']) {
    assert(!isLogLine(printed), printed);
  }
});
