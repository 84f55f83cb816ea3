import path from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  type JobManagerProcessConfigInput,
  type JobSourceConfig,
  type LineageConfig,
  type PurgeProcessConfigInput,
  type RestartStrategyConfig,
  type SavepointTaskProcessConfigInput,
  type TaskManagerProcessConfigInput,
  taskManagerNodeOptions,
} from '@flinkjob/runtime/process-config';
import type { FlinkJobSpec } from '../../api/flink-job-spec.ts';
import { parseSizeBytes } from '../../api/quantity.ts';
import type { Revision } from '../../flink-job/revision.ts';
import { JobManagerClient } from '../../job-manager-client/job-manager-client.ts';
import type {
  Engine,
  JobManagerRendering,
  PreFlightRendering,
  PurgeRendering,
  RenderedProcess,
  SavepointTaskRendering,
  TaskManagerRendering,
} from '../engine.ts';

/** Our own runtime: every process gets a command and one JSON file. */
export const typescriptEngine: Engine = {
  name: 'TypeScript',
  renderJobManager: (input) => ({
    ...node([]),
    args: (configPath) => ['job-manager', '--config', configPath, ...credentialsOption(input)],
    config: jobManagerConfig(input),
  }),
  renderTaskManager: (input) => ({
    ...node(taskManagerNodeOptions),
    args: (configPath) => ['task-manager', '--config', configPath, ...credentialsOption(input)],
    config: taskManagerConfig(input),
  }),
  renderPreFlight: (input) => ({
    ...node([]),
    args: (configPath) => ['plan', '--config', configPath, '--json'],
    config: preFlightConfig(input),
  }),
  renderPurge: (input) => ({
    ...node([]),
    args: (configPath) => ['purge', '--config', configPath, '--json'],
    config: purgeConfig(input),
  }),
  renderSavepointTask: (input) => ({
    ...node([]),
    args: (configPath) => ['savepoint-task', '--config', configPath, '--json'],
    config: savepointTaskConfig(input),
  }),
  client: (address, credentials, mayCommand) => new JobManagerClient(address, credentials, mayCommand),
};

/** An option and no field of the configuration: a runtime that is older than credentials passes over it. */
function credentialsOption({ keyFile }: { readonly keyFile: string | undefined }): readonly string[] {
  return keyFile === undefined ? [] : ['--credentials', keyFile];
}

function node(nodeOptions: readonly string[]): Pick<RenderedProcess, 'nodeOptions' | 'program'> {
  return { nodeOptions, program: runtimeCommand };
}

let command: string | undefined;

/** Resolved once, and only when a process is to be started. */
function runtimeCommand(): string {
  command ??= fileURLToPath(import.meta.resolve('@flinkjob/runtime/command'));
  return command;
}

function jobManagerConfig(input: JobManagerRendering): JobManagerProcessConfigInput {
  const { spec } = input.revision;
  return {
    job: jobSource(input.revision),
    lineage: lineage(input),
    revision: input.revision.name,
    attempt: input.attempt,
    podUid: input.podUid,
    restore: input.restore,
    stateBackend: spec.state.backend,
    allowDroppedState: spec.restore.allowDroppedState,
    allowNewState: spec.restore.allowNewState,
    checkpoints: {
      intervalSeconds: spec.checkpoints.intervalSeconds,
      timeoutSeconds: spec.checkpoints.timeoutSeconds,
      minPauseSeconds: spec.checkpoints.minPauseSeconds,
      tolerableFailedCheckpoints: spec.checkpoints.tolerableFailedCheckpoints,
      mode: spec.checkpoints.mode,
      retain: spec.checkpoints.retain,
    },
    restartStrategy: restartStrategy(spec),
    heartbeat: {},
    rest: { host: input.host, port: input.ports?.rest ?? spec.jobManager.restPort ?? 0 },
    rpc: { host: input.host, port: input.ports?.rpc ?? 0 },
    ...(input.addressFile === undefined ? {} : { addressFile: input.addressFile }),
  };
}

/** A plan is asked with what a JobManager would be told, and what the TaskManagers will have; attempt and pod mean nothing to it. */
function preFlightConfig(input: PreFlightRendering): object {
  const jobManager = {
    ...input,
    attempt: { number: 1, token: 'pre-flight' },
    podUid: 'pre-flight',
    addressFile: 'unused',
    keyFile: undefined,
  };
  return { ...jobManagerConfig(jobManager), taskManager: taskManagerResources(input.revision) };
}

function purgeConfig(input: PurgeRendering): PurgeProcessConfigInput {
  const { attemptNumber, purgeId, graceSeconds } = input;
  return {
    lineage: lineage(input),
    attemptNumber,
    operationId: purgeId,
    ...(graceSeconds === undefined ? {} : { deleteGraceSeconds: graceSeconds }),
  };
}

function savepointTaskConfig(input: SavepointTaskRendering): SavepointTaskProcessConfigInput {
  const { state, restore } = input.revision.spec;
  return {
    job: jobSource(input.revision),
    lineage: lineage(input),
    stateBackend: state.backend,
    allowDroppedState: restore.allowDroppedState,
    allowNewState: restore.allowNewState,
    task: input.task,
  };
}

function taskManagerResources({ spec }: Revision): Pick<TaskManagerProcessConfigInput, 'slots' | 'memorySizeBytes'> {
  const { slots, resources } = spec.taskManager;
  const { memory } = resources.limits;
  return { slots, ...(memory === undefined ? {} : { memorySizeBytes: parseSizeBytes(memory) }) };
}

function taskManagerConfig(input: TaskManagerRendering): TaskManagerProcessConfigInput {
  const { spec } = input.revision;
  return {
    job: jobSource(input.revision),
    lineage: lineage(input),
    revision: input.revision.name,
    taskManagerId: input.taskManagerId,
    ...taskManagerResources(input.revision),
    stateBackend: spec.state.backend,
    localDirectories: [...input.localDirectories],
    ...('address' in input.jobManager
      ? { jobManagerAddress: input.jobManager.address }
      : { addressFile: input.jobManager.addressFile }),
    data: { host: input.host, port: input.ports?.data ?? 0 },
    ...(input.ports === undefined ? {} : { metrics: { host: input.host, port: input.ports.metrics } }),
  };
}

function jobSource(revision: Revision): JobSourceConfig {
  const { job } = revision.spec;
  return {
    // The runtime brings the one at s3:// itself.
    module: job.module.startsWith('s3:') ? job.module : path.resolve(revision.workingDirectory ?? '/', job.module),
    args: job.args,
    parallelism: job.parallelism,
    maxParallelism: job.maxParallelism,
  };
}

function lineage(input: {
  readonly revision: Revision;
  readonly namespace: string;
  readonly name: string;
  readonly clusterId: string;
}): LineageConfig {
  const { state, restore } = input.revision.spec;
  return {
    checkpointStorage: state.checkpointStorage,
    namespace: input.namespace,
    name: input.name,
    clusterId: input.clusterId,
    ...(restore.adopt === undefined ? {} : { adoptFrom: restore.adopt.from }),
  };
}

function restartStrategy(spec: FlinkJobSpec): RestartStrategyConfig {
  const it = spec.restartStrategy;
  const { type } = it;
  switch (type) {
    case 'None':
      return { type };
    case 'FixedDelay':
      return { type, attempts: it.attempts ?? 10, delaySeconds: it.delaySeconds ?? 1 };
    case 'ExponentialDelay':
      return {
        type,
        initialDelaySeconds: it.initialDelaySeconds ?? 1,
        maxDelaySeconds: it.maxDelaySeconds ?? 60,
        multiplier: it.multiplier ?? 2,
        jitterPercent: it.jitterPercent ?? 10,
        resetAfterSeconds: it.resetAfterSeconds ?? 600,
      };
    case 'FailureRate':
      return {
        type,
        maxFailuresPerInterval: it.maxFailuresPerInterval ?? 1,
        intervalSeconds: it.intervalSeconds ?? 60,
        delaySeconds: it.delaySeconds ?? 1,
      };
  }
}
