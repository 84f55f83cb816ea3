// Transcripts of events and commands. What the shell makes of the commands is tested with the JobManager.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ErrorInfo } from '../job-error.ts';
import {
  type CheckpointCommand,
  type CheckpointCoordinator,
  type CheckpointEvent,
  type CheckpointPurpose,
  canTrigger,
  createCheckpointCoordinator,
  step,
} from './checkpoint-coordinator.ts';

const token = { epoch: 7, executionAttempt: 2 };
const older = { epoch: 7, executionAttempt: 1 };
const subtasks = [
  { vertexId: 'lines', subtaskIndex: 0 },
  { vertexId: 'counts', subtaskIndex: 0 },
];
const [first, second] = subtasks as [(typeof subtasks)[number], (typeof subtasks)[number]];
const error: ErrorInfo = { code: 'DiskFull', message: 'no space', domain: 'external', retry: 'backoff' };

const started: CheckpointEvent = { type: 'ExecutionStarted', execution: { token, subtasks } };

function trigger(purpose: CheckpointPurpose = 'Periodic', nowMs = 0): CheckpointEvent {
  return { type: 'Trigger', purpose, operationId: undefined, nowMs, wallClockMs: 1_000_000 + nowMs, timeoutMs: 100 };
}

function ack(checkpointId: number, task = first, from = token): CheckpointEvent {
  return { type: 'Acknowledged', token: from, checkpointId, acknowledgement: { task, operators: [] } };
}

function decline(checkpointId: number, from = token): CheckpointEvent {
  return { type: 'Declined', token: from, checkpointId, task: first, error };
}

/** Feeds events and gives the commands as short text: `Abort 4 TimedOut`. */
function run(events: readonly CheckpointEvent[], options = { nextCheckpointId: 4, tolerableFailures: 1 }) {
  let coordinator: CheckpointCoordinator = createCheckpointCoordinator(options);
  const commands: string[] = [];
  for (const event of events) {
    const taken = step(coordinator, event);
    coordinator = taken.next;
    commands.push(...taken.commands.map(text));
  }
  return { coordinator, commands };
}

function text(command: CheckpointCommand): string {
  switch (command.type) {
    case 'TriggerTasks':
      return `TriggerTasks ${command.checkpoint.id}${command.stopSources ? ' stopSources' : ''}`;
    case 'Abort':
      return `Abort ${command.checkpoint.id} ${command.causedBy}`;
    case 'FailExecution':
      return `FailExecution ${command.error.code}`;
    default:
      return `${command.type} ${command.checkpoint.id}`;
  }
}

test('a checkpoint is written when every subtask has acknowledged, and told to the tasks when it is in the lineage', () => {
  const { commands, coordinator } = run([
    started,
    trigger(),
    ack(4, first),
    ack(4, second),
    { type: 'Written', checkpointId: 4 },
  ]);
  assert.deepEqual(commands, ['TriggerTasks 4', 'Write 4', 'NotifyCompleted 4']);
  assert.equal(coordinator.checkpoint.state, 'Idle');
  assert.equal(coordinator.nextCheckpointId, 5);
});

test('only the savepoint of a stop and the final checkpoint stop the sources', () => {
  const stopping = (['Periodic', 'Savepoint', 'Stop', 'Final'] as const).map(
    (purpose) => run([started, trigger(purpose)]).commands,
  );
  assert.deepEqual(stopping, [
    ['TriggerTasks 4'],
    ['TriggerTasks 4'],
    ['TriggerTasks 4 stopSources'],
    ['TriggerTasks 4 stopSources'],
  ]);
});

test('the same subtask acknowledging twice counts once', () => {
  assert.deepEqual(run([started, trigger(), ack(4, first), ack(4, first)]).commands, ['TriggerTasks 4']);
});

test('an acknowledgement of an older execution attempt is dropped', () => {
  const { commands } = run([started, trigger(), ack(4, first), ack(4, second, older)]);
  assert.deepEqual(commands, ['TriggerTasks 4']);
});

test('an answer about another checkpoint is dropped', () => {
  assert.deepEqual(run([started, trigger(), ack(3, first), decline(5)]).commands, ['TriggerTasks 4']);
});

test('nothing is triggered without an execution, nor while a checkpoint is under way', () => {
  assert.deepEqual(run([trigger()]).commands, []);
  const { commands, coordinator } = run([started, trigger(), trigger()]);
  assert.deepEqual(commands, ['TriggerTasks 4']);
  assert.equal(canTrigger(coordinator), false);
});

test('a declined checkpoint is aborted and its id is not used again', () => {
  const { commands } = run([started, trigger(), decline(4), trigger()]);
  assert.deepEqual(commands, ['TriggerTasks 4', 'Abort 4 Declined', 'TriggerTasks 5']);
});

test('a decline of an older execution attempt is dropped', () => {
  assert.deepEqual(run([started, trigger(), decline(4, older)]).commands, ['TriggerTasks 4']);
});

test('a checkpoint is aborted at its deadline, not before', () => {
  const before = run([started, trigger(), { type: 'TimePassed', nowMs: 99 }]);
  assert.deepEqual(before.commands, ['TriggerTasks 4']);
  const after = run([started, trigger(), { type: 'TimePassed', nowMs: 100 }]);
  assert.deepEqual(after.commands, ['TriggerTasks 4', 'Abort 4 TimedOut']);
});

test('a late acknowledgement of an aborted checkpoint completes nothing', () => {
  const { commands } = run([started, trigger(), ack(4, first), { type: 'TimePassed', nowMs: 100 }, ack(4, second)]);
  assert.deepEqual(commands, ['TriggerTasks 4', 'Abort 4 TimedOut']);
});

test('more failures in a row than tolerated fail the execution; a success starts the count anew', () => {
  const tooMany = run([started, trigger(), decline(4), trigger(), decline(5)]);
  assert.deepEqual(tooMany.commands.slice(-2), ['Abort 5 Declined', 'FailExecution TooManyCheckpointFailures']);
  const healed = run([
    ...[started, trigger(), decline(4), trigger(), ack(5, first), ack(5, second), { type: 'Written', checkpointId: 5 } as const],
    ...[trigger(), decline(6)],
  ]);
  assert.deepEqual(healed.commands.at(-1), 'Abort 6 Declined');
});

test('a failed savepoint of a stop fails the execution at once, because its sources have stopped', () => {
  const { commands } = run([started, trigger('Stop'), decline(4)]);
  assert.deepEqual(commands, ['TriggerTasks 4 stopSources', 'Abort 4 Declined', 'FailExecution DiskFull']);
});

test('the end of an execution aborts what it had triggered, without counting a failure', () => {
  const { commands, coordinator } = run([started, trigger(), ack(4), { type: 'ExecutionEnded', reason: 'lost' }]);
  assert.deepEqual(commands, ['TriggerTasks 4', 'Abort 4 ExecutionEnded']);
  assert.equal(coordinator.failuresInRow, 0);
});

test('a checkpoint that is being written outlives time-out and execution: only the storage says what became of it', () => {
  const writing = [started, trigger(), ack(4, first), ack(4, second)];
  const ended = [{ type: 'TimePassed', nowMs: 1000 }, decline(4), { type: 'ExecutionEnded', reason: 'lost' }] as const;
  const { commands, coordinator } = run([...writing, ...ended]);
  assert.deepEqual(commands, ['TriggerTasks 4', 'Write 4']);
  assert.equal(coordinator.checkpoint.state, 'Writing');
  assert.deepEqual(run([...writing, ...ended, { type: 'Written', checkpointId: 4 }]).commands.at(-1), 'NotifyCompleted 4');
  const failed = run([...writing, ...ended, { type: 'WriteFailed', checkpointId: 4, error }]);
  assert.deepEqual(failed.commands.at(-1), 'Abort 4 WriteFailed');
});

test('an acknowledgement from a subtask that is not of the execution is a bug and is not swallowed', () => {
  assert.throws(() => run([started, trigger(), ack(4, { vertexId: 'other', subtaskIndex: 0 })]), /other#0/);
});
