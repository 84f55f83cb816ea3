import type { CheckpointStorage } from '../checkpoint-storage/checkpoint-storage.ts';
import { assert } from '../core/assert.ts';
import type { FencingToken } from '../core/fencing-token.ts';
import type { ExecutableJob } from '../core/job-graph/executable-job.ts';
import type { SubtaskDeployment } from '../core/protocol/messages.ts';
import type { KeyedStateBackendFactory, SnapshotTarget } from '../state-backend/state-backend.ts';
import { ChainBuilder } from './chain-builder.ts';
import type { SubtaskChannels } from './exchange/thread-exchange.ts';
import { HeadState } from './head-state.ts';
import type { RestoredFiles } from './local-recovery/restored-files.ts';
import type { SharedFiles } from './shared-files.ts';
import type { SnapshotPlace } from './state-files.ts';
import { Task, type TaskReporter } from './task.ts';

export interface TaskEnvironment {
  readonly job: ExecutableJob;
  readonly token: FencingToken;
  /** `<namespace>/<name>` of the lineage. */
  readonly lineageId: string;
  readonly storage: CheckpointStorage;
  readonly createBackend: KeyedStateBackendFactory;
  readonly reporter: TaskReporter;
  readonly restoredFiles: RestoredFiles;
  /** Of a keyed operator's subtask; the same at every call. */
  readonly sharedFiles: (operatorUid: string, subtaskIndex: number) => SharedFiles;
  readonly snapshotTarget: (place: SnapshotPlace) => SnapshotTarget;
  readonly mayCommit: () => boolean;
  readonly wake: () => void;
  readonly nowMs: () => number;
  readonly monotonicMs: () => number;
}

/** Everything a subtask needs before its first record: its chain, its state, and what it restored committed. */
export async function buildTask(
  environment: TaskEnvironment,
  deployment: SubtaskDeployment,
  { input, outputs }: SubtaskChannels,
): Promise<Task> {
  const { job, token, reporter, snapshotTarget, mayCommit, nowMs, monotonicMs } = environment;
  const { vertexId, subtaskIndex } = deployment.task;
  const vertex = job.graph.vertices.find(({ id }) => id === vertexId);
  assert(vertex !== undefined, `the deployment names the vertex '${vertexId}', which is not in the graph`);
  const builder = new ChainBuilder(environment, vertex, { deployment, outputs });
  const { head, inputs } = await builder.build();
  const source = builder.source(() => task);
  const task: Task = new Task({
    id: { vertexId, subtaskIndex },
    head,
    inputs,
    source,
    input,
    keyed: builder.keyed,
    headState: new HeadState({
      keyed: builder.keyed,
      broadcast: builder.broadcast,
      operatorLists: builder.operatorLists,
      place: { subtaskIndex, executionAttempt: token.executionAttempt },
      snapshotTarget,
      sharedFiles: builder.keyed && environment.sharedFiles(builder.keyed.operator.id, subtaskIndex),
    }),
    sinks: builder.sinks,
    timestamps: builder.timestamps,
    outputs: builder.outputs,
    partitions: outputs.map(({ partition }) => partition),
    measureOperators: () => builder.measure(task, source),
    reporter,
    mayCommit,
    nowMs,
    monotonicMs,
  });
  return task;
}
