import { z } from 'zod';
import { Problem } from './flink-job-status.ts';

/**
 * `status` of a FlinkSavepoint. It is written before anything is done, and holds the id of what is about to be done (lineage protocol, rule 12). What the savepoint
 * holds, and whether it is there, is in the lineage in checkpoint storage.
 */

const time = () => z.iso.datetime();

const conditionTypes = ['Ready', 'Reconciling', 'Stalled', 'Completed', 'Restorable'] as const;

export const SavepointCondition = z.strictObject({
  type: z.enum(conditionTypes).meta({ description: 'What the condition is about.' }),
  status: z.enum(['True', 'False', 'Unknown']).meta({ description: 'Whether it holds.' }),
  reason: z.string().min(1).meta({ description: 'One CamelCase word for programs.' }),
  message: z.string().meta({ description: 'A sentence for people.' }),
  lastTransitionTime: time().meta({ description: 'When status last changed.' }),
  observedGeneration: z.int().min(0).meta({ description: 'The generation of the spec that this is about.' }),
});
export type SavepointCondition = z.infer<typeof SavepointCondition>;

/** One step that somebody else carries out. */
const Step = {
  operationId: z.string().min(1).meta({ description: 'The command under way; the same id never means two things.' }),
  try: z.int().min(1).meta({ description: 'Which try it is.' }),
  deadlineTime: time().meta({ description: 'When it is given up.' }),
  retryTime: time().optional().meta({ description: 'When a try that failed is followed by the next.' }),
};

const by = z.enum(['JobManager', 'Task']).meta({
  description: 'Who does it: the JobManager, or, where none runs, a short process with the service account of the job.',
});

export const FlinkSavepointStatus = z.strictObject({
  observedGeneration: z.int().min(0).optional().meta({ description: 'The newest generation of the spec that was looked at.' }),
  state: z.enum(['Pending', 'InProgress', 'Completed', 'Failed', 'Abandoned', 'Deleting']).default('Pending').meta({
    description:
      'Pending: it waits for its turn, or for the job. InProgress: it is being taken or imported. Completed: it is in storage. Failed: it is not, problem says why. Abandoned: its FlinkJob is not there. Deleting: it is being removed from storage.',
  }),
  conditions: z
    .array(SavepointCondition)
    .max(8)
    .default([])
    .meta({ description: 'The contract with tools.', 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['type'] }),
  flinkJobUid: z.string().optional().meta({ description: 'The uid of the FlinkJob that it was taken of.' }),
  jobMissingSinceTime: time().optional().meta({ description: 'Since when there is no such FlinkJob.' }),
  step: z
    .strictObject({
      ...Step,
      by,
      asked: z.string().optional().meta({
        description:
          'Of a lookup: what the JobManager had been asked for before it went, without anybody having heard what came of it.',
      }),
    })
    .optional()
    .meta({ description: 'How it is being taken. Of one that was given up: that of which nobody has heard what came of it.' }),
  startedTime: time().optional().meta({ description: 'When it was first begun.' }),
  completedTime: time().optional().meta({ description: 'When it was complete, or given up.' }),
  checkpointId: z.int().min(0).optional().meta({ description: 'Its id in the lineage.' }),
  path: z.string().optional().meta({ description: 'URL of the folder of its _metadata.' }),
  kind: z.enum(['Savepoint', 'Checkpoint']).optional().meta({
    description: 'Checkpoint: it belongs to the engine, which removes it when newer ones have taken its place.',
  }),
  sizeBytes: z.int().min(0).optional().meta({ description: 'Of the state that it names, where that is known.' }),
  drill: z
    .strictObject({
      ...Step,
      scheduleTime: time().optional().meta({ description: 'The time of spec.savepoints.drill.schedule that asked for it.' }),
      startedTime: time().meta({ description: 'When it began.' }),
      endedTime: time().optional().meta({ description: 'When its answer was there, or it was given up.' }),
      rowCount: z.int().min(0).optional().meta({ description: 'Rows that were read.' }),
      fileCount: z.int().min(0).optional().meta({ description: 'Files whose content was compared.' }),
      sizeBytes: z.int().min(0).optional().meta({ description: 'Of these files.' }),
      result: z.enum(['Restorable', 'NotRestorable', 'GivenUp']).optional().meta({ description: 'What came of it.' }),
      problem: Problem.optional().meta({ description: 'Why it cannot be restored, or why the drill failed.' }),
    })
    .optional()
    .meta({ description: 'The last restore drill.' }),
  deletion: z
    .strictObject({ ...Step, by, startedTime: time().meta({ description: 'When it began.' }) })
    .optional()
    .meta({ description: 'Its removal from storage.' }),
  problem: Problem.optional().meta({ description: 'What is wrong now.' }),
});
export type FlinkSavepointStatus = z.infer<typeof FlinkSavepointStatus>;

export const initialSavepointStatus: FlinkSavepointStatus = { state: 'Pending', conditions: [] };
