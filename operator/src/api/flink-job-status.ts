import { z } from 'zod';
import { Condition } from './conditions.ts';

/**
 * `status` of a FlinkJob: what the controller has decided and seen. It is written before anything is done, so that a controller that
 * dies at any point goes on where it stopped. It is small and holds ids, not payloads, and it is never what a job restores from: that
 * is the lineage in checkpoint storage. Deleting it loses nothing but history.
 */

/** What is wrong, in words, and what to do about it. */
export const Problem = z.strictObject({
  code: z.string().min(1).meta({ description: 'Stable CamelCase word for programs.' }),
  message: z.string().meta({ description: 'What is wrong, and where.' }),
  remedy: z.string().optional().meta({ description: 'What to do about it.' }),
});
export type Problem = z.infer<typeof Problem>;

const time = () => z.iso.datetime();

/** One start of a revision, written before its processes exist (lineage protocol, rule 4). */
const Attempt = z.strictObject({
  number: z.int().min(1).meta({ description: 'Higher than that of every start before.' }),
  token: z.string().min(1).meta({ description: 'Tells apart two controllers that chose one number.' }),
  startedTime: time().meta({ description: 'When the start was decided.' }),
  taskManagers: z.int().min(1).meta({ description: 'How many TaskManagers it has.' }),
  instance: z.int().min(1).meta({ description: 'Counts the JobManagers of this attempt; a replacement takes the next.' }),
  instanceTime: time().optional().meta({ description: 'When the present instance replaced the one before.' }),
  checkpointStorage: z.string().optional().meta({
    description:
      "Where it has its state, as its spec says; a revision can be deleted, and the job's state must be found without it.",
  }),
  leftStorage: z.string().optional().meta({
    description: 'Where the job had its state before, until the attempt is seen to have opened its lineage where it has it now.',
  }),
  restoreFrom: z.enum(['Latest', 'None', 'Path']).meta({ description: 'What its JobManager was told to restore.' }),
  restorePath: z.string().optional().meta({ description: 'The folder or URL, when restoreFrom is Path.' }),
  restoreToken: z.string().optional().meta({ description: 'The request it belongs to, when restoreFrom is not Latest.' }),
  restoredPath: z.string().optional().meta({
    description: 'What it began from, as its first JobManager said: a folder of the lineage, or the URL of what was imported.',
  }),
  ranTime: time().optional().meta({ description: 'When it was first seen to run; none while it has not.' }),
  unregistered: z
    .array(
      z.strictObject({
        taskManagerId: z.string().min(1).meta({ description: 'Its id.' }),
        sinceTime: time().meta({ description: 'Since when.' }),
      }),
    )
    .max(64)
    .optional()
    .meta({
      description:
        'TaskManagers whose processes live but are not registered with the JobManager; those that stay so are replaced.',
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['taskManagerId'],
    }),
  unresponsiveSinceTime: time()
    .optional()
    .meta({ description: 'Since when its JobManager has not answered although its process lives.' }),
});

/** Why and how far one change of the job is on its way. A new rollout is a new object: nothing of an older one is left in it. */
const Rollout = z.strictObject({
  id: z.int().min(1).meta({ description: 'Counts the rollouts of this resource.' }),
  reason: z
    .enum(['Start', 'Upgrade', 'Rescale', 'Restore', 'Suspend', 'Resume', 'Restart', 'Recover', 'Rollback'])
    .meta({ description: 'What it is for.' }),
  state: z.enum(['PreFlight', 'Blocked', 'Stopping', 'StopFailed', 'Starting', 'Stabilizing']).meta({
    description:
      'PreFlight: proving that the revision can start. Blocked: it cannot; tried again at retryTime. Stopping: the old revision is being stopped. StopFailed: it was not; it runs on, tried again at retryTime. Starting: the new revision is on its way to Running. Stabilizing: it runs, and has to complete checkpoints before it counts as stable.',
  }),
  revision: z.string().optional().meta({ description: 'The revision it brings; none for Suspend.' }),
  generation: z.int().min(0).meta({ description: 'The generation of the spec that asked for it.' }),
  startedTime: time().meta({ description: 'When it began.' }),
  stateTime: time().meta({ description: 'When its state was entered.' }),
  deadlineTime: time().optional().meta({ description: 'When its state is given up.' }),
  retryTime: time().optional().meta({ description: 'When a blocked or failed step is tried again.' }),
  try: z.int().min(1).meta({ description: 'Which try of the step this is.' }),
  stopMode: z.enum(['Savepoint', 'Cancel']).optional().meta({ description: 'How the old revision is being stopped.' }),
  stopReason: z.string().optional().meta({ description: 'Why it is stopped in another way than spec.upgrade.mode asks for.' }),
  operationId: z.string().optional().meta({ description: 'The command under way; the same id never means two things.' }),
  stopTimeoutSeconds: z.int().min(1).optional().meta({ description: 'The deadline that the stop was sent with.' }),
  savepointFormat: z
    .enum(['Native', 'Canonical'])
    .optional()
    .meta({ description: 'The format that the savepoint of the stop was asked for in.' }),
  restoreFrom: z.enum(['Latest', 'None', 'Path']).default('Latest').meta({ description: 'What the start is going to restore.' }),
  restorePath: z.string().optional().meta({ description: 'The folder or URL, when restoreFrom is Path.' }),
  restoreToken: z.string().optional().meta({ description: 'Names the request, when restoreFrom is not Latest.' }),
  problem: Problem.optional().meta({ description: 'Why it is blocked or failed.' }),
  leastAttempt: z
    .int()
    .min(0)
    .optional()
    .meta({ description: 'The attempt number that the start must exceed, as pre-flight read it.' }),
  slotsRequired: z.int().min(0).optional().meta({ description: 'Slots that the revision needs, as pre-flight counted them.' }),
  taskManagers: z.int().min(1).optional().meta({ description: 'How many TaskManagers the start gets.' }),
  leftStorage: z.string().optional().meta({ description: 'The storage that the start leaves, where it goes to another one.' }),
  checkpointId: z.int().min(0).optional().meta({ description: 'While Stabilizing: the newest checkpoint that was counted.' }),
  completedCheckpoints: z.int().min(0).optional().meta({ description: 'While Stabilizing: how many have been completed.' }),
  restarts: z
    .int()
    .min(0)
    .optional()
    .meta({ description: 'While Stabilizing: the automatic restarts before those checkpoints.' }),
  pendingRecordsBefore: z
    .number()
    .min(0)
    .optional()
    .meta({ description: 'What sources had not read when the old revision was stopped, where they know.' }),
  pendingRecordsFirst: z
    .number()
    .min(0)
    .optional()
    .meta({ description: 'The same when the new revision was first seen to run.' }),
});
export type Rollout = z.infer<typeof Rollout>;

/** A rollout that is over, for people. */
const PastRollout = z.strictObject({
  id: z.int().min(1).meta({ description: 'As it was counted.' }),
  reason: z.string().meta({ description: 'What it was for.' }),
  revision: z.string().optional().meta({ description: 'The revision it brought; none for Suspend.' }),
  outcome: z.enum(['Completed', 'Superseded', 'RolledBack', 'Failed']).meta({
    description:
      'Completed: it reached what it was for. Superseded: another spec came first. RolledBack: its revision was not stable. Failed: the job ended.',
  }),
  startedTime: time().meta({ description: 'When it began.' }),
  endedTime: time().meta({ description: 'When it was over.' }),
  problem: Problem.optional().meta({ description: 'What was in the way.' }),
});
export type PastRollout = z.infer<typeof PastRollout>;

/** Set when the processes of the current revision are not wanted any more. */
const Ended = z.strictObject({
  state: z
    .enum(['Suspended', 'Finished', 'Stopped', 'Failed', 'Canceled', 'Fenced', 'Refused'])
    .meta({ description: 'How the job ended.' }),
  time: time().meta({ description: 'When this was seen.' }),
  generation: z.int().min(0).meta({ description: 'The generation of the spec at that time.' }),
  checkpointId: z.int().optional().meta({ description: 'The last checkpoint, when the lineage was closed with one.' }),
  problem: Problem.optional().meta({ description: 'Why, unless that was wished for.' }),
  startableAgain: z
    .boolean()
    .optional()
    .meta({ description: 'True when a start with a higher attempt may succeed without another spec.' }),
  retryTime: time().optional().meta({ description: 'When that start is due.' }),
});
export type Ended = z.infer<typeof Ended>;

const LastCheckpoint = z.strictObject({
  id: z.int().meta({ description: 'Checkpoint id.' }),
  kind: z.enum(['Checkpoint', 'Savepoint']).meta({ description: 'What it is.' }),
  path: z.string().meta({ description: "Folder in the lineage's directory." }),
  completedTime: time().meta({ description: 'When it became durable.' }),
});

export const FlinkJobStatus = z.strictObject({
  observedGeneration: z
    .int()
    .min(0)
    .optional()
    .meta({ description: 'The newest generation of the spec that the controller has looked at.' }),
  state: z.string().default('Unknown').meta({ description: 'One word for people: what the job is doing.' }),
  conditions: z
    .array(Condition)
    .max(16)
    .default([])
    .meta({ description: 'The contract with tools.', 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['type'] }),
  revision: z.string().optional().meta({ description: 'The revision that runs, or ran last.' }),
  attempt: Attempt.optional().meta({ description: 'The current or last start.' }),
  ended: Ended.optional().meta({ description: 'How the current revision ended; absent while it should run.' }),
  rollout: Rollout.optional().meta({ description: 'The change that is under way.' }),
  rollouts: z.int().min(0).default(0).meta({ description: 'How many rollouts there have been.' }),
  stable: z
    .strictObject({
      revision: z.string().meta({ description: 'Its name.' }),
      time: time().meta({ description: 'When it was seen to be stable.' }),
    })
    .optional()
    .meta({ description: 'The last revision that was stable: what an automatic rollback goes back to.' }),
  rollbackTarget: z
    .strictObject({
      revision: z.string().meta({ description: 'The revision that was stable before the present one.' }),
      check: z.enum(['NothingCommitted', 'Unknown', 'Readable', 'Unreadable']).meta({
        description:
          'Whether it can read the newest checkpoint. NothingCommitted: nothing was completed since it ran. Readable, Unreadable: a pre-flight says so.',
      }),
      checkpointId: z.int().min(0).meta({ description: 'The newest checkpoint when it was left.' }),
      rewindPath: z.string().optional().meta({ description: 'The checkpoint or savepoint that it was left with.' }),
      problem: Problem.optional().meta({ description: 'Why it cannot be read.' }),
    })
    .optional()
    .meta({ description: 'What going back would mean.' }),
  rolledBack: z
    .strictObject({
      revision: z.string().meta({ description: 'Its name.' }),
      generation: z.int().min(0).meta({ description: 'The generation of the spec that asked for it.' }),
      time: time().meta({ description: 'When it was given up.' }),
      problem: Problem.meta({ description: 'Why.' }),
    })
    .optional()
    .meta({
      description: 'The revision that was rolled back. It is not tried again until the spec or its restartNonce changes.',
    }),
  history: z
    .array(PastRollout)
    .max(10)
    .optional()
    .meta({ description: 'The last rollouts that are over, newest first.', 'x-kubernetes-list-type': 'atomic' }),
  revisions: z
    .array(z.string())
    .max(101)
    .optional()
    .meta({ description: 'Revisions that ran, newest first.', 'x-kubernetes-list-type': 'atomic' }),
  failureTimes: z
    .array(time())
    .max(101)
    .optional()
    .meta({ description: 'When the job failed, within recovery.windowSeconds.', 'x-kubernetes-list-type': 'atomic' }),
  pausedTime: time().optional().meta({ description: 'Since when the annotation flinkjob.dev/paused holds the controller back.' }),
  deletion: z
    .strictObject({
      deadlineTime: time().meta({ description: 'When the resource goes even if processes are left.' }),
      operationId: z.string().min(1).meta({ description: 'Root of the ids of its commands.' }),
      cancelTime: time().optional().meta({ description: 'When the job began to be cancelled.' }),
      savepoint: z
        .strictObject({
          try: z.int().min(1).meta({ description: 'Which try it is.' }),
          stopTimeoutSeconds: z.int().min(1).meta({ description: 'The deadline that the stop is sent with.' }),
          savepointFormat: z.enum(['Native', 'Canonical']).meta({ description: 'The format that it is asked for in.' }),
          deadlineTime: time().meta({ description: 'When the deletion goes on without one.' }),
          retryTime: time().optional().meta({ description: 'When a try that failed is followed by the next.' }),
          problem: Problem.optional().meta({ description: 'Why the last try failed.' }),
          state: z
            .enum(['InProgress', 'Taken', 'NotTaken', 'NothingToTake'])
            .meta({ description: 'How far it is. NothingToTake: the job was not running, and its last checkpoint stays.' }),
        })
        .optional()
        .meta({ description: 'The stop with savepoint, with checkpoints.onDelete Savepoint.' }),
      purge: z
        .strictObject({
          try: z.int().min(1).meta({ description: 'Which try it is.' }),
          deadlineTime: time().meta({ description: 'When the resource goes even if the lineage is not purged.' }),
          retryTime: time().optional().meta({ description: 'When a try that failed is followed by the next.' }),
          problem: Problem.optional().meta({ description: 'Why the last try failed.' }),
        })
        .optional()
        .meta({ description: 'The purge of the lineage, with checkpoints.onDelete Purge, once the processes are gone.' }),
    })
    .optional()
    .meta({ description: 'Set once deletion has begun.' }),
  parallelism: z.int().min(0).optional().meta({ description: 'Parallelism of the current revision; 0 when nothing runs.' }),
  selector: z
    .string()
    .optional()
    .meta({ description: 'Selects the TaskManager pods, for autoscalers: status.selector of the scale subresource.' }),
  restarts: z.int().min(0).default(0).meta({ description: 'Automatic restarts of the current attempt.' }),
  jobManagerAddress: z.string().optional().meta({ description: 'host:port of REST.' }),
  restored: z.string().optional().meta({ description: 'What the current attempt started from, in words.' }),
  lastCheckpoint: LastCheckpoint.optional().meta({ description: 'The newest completed checkpoint that was seen.' }),
  restorable: z
    .strictObject({
      by: z
        .enum(['Start', 'Drill'])
        .meta({ description: 'Start: a start restored it, and its tasks ran. Drill: a drill read all of it.' }),
      result: z.enum(['Restored', 'NotRestorable']).meta({ description: 'What it came to.' }),
      time: time().meta({ description: 'When.' }),
      path: z.string().optional().meta({ description: 'Of the checkpoint or savepoint.' }),
      savepoint: z.string().optional().meta({ description: 'The FlinkSavepoint that the drill was of.' }),
      message: z.string().optional().meta({ description: 'Why it cannot be restored.' }),
    })
    .optional()
    .meta({ description: 'What has shown last that the job can be restored, or that it cannot.' }),
  lastCheckpointTime: time().optional().meta({ description: 'Same as lastCheckpoint.completedTime, for the printer column.' }),
  error: Problem.optional().meta({ description: 'What is wrong now.' }),
});

export type FlinkJobStatus = z.infer<typeof FlinkJobStatus>;

/** The status of a resource that no controller has seen yet. */
export const initialStatus: FlinkJobStatus = { state: 'Unknown', conditions: [], rollouts: 0, restarts: 0 };
