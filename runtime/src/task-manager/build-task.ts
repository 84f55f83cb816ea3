import type { CheckpointStorage } from '../checkpoint-storage/checkpoint-storage.ts';
import { decodeSplit } from '../connectors/split-codec.ts';
import { assert, unreachable } from '../core/assert.ts';
import type { FencingToken } from '../core/fencing-token.ts';
import type { ExecutableJob, OperatorImplementation } from '../core/job-graph/executable-job.ts';
import type { JobVertex, OperatorDescription } from '../core/job-graph/job-graph.ts';
import type { Source } from '../core/job-graph/source.ts';
import { keyGroupRangeOf } from '../core/key-groups/key-group.ts';
import type { OperatorSubtaskRestore, SubtaskDeployment } from '../core/protocol/messages.ts';
import type { KeyedStateBackend, KeyedStateBackendFactory, KeyedStateBackendOptions } from '../state-backend/state-backend.ts';
import { OperatorFailure } from './chain/operator-failure.ts';
import { FilterStage, FlatMapStage, KeyedProcessStage, MapStage, OutputStage, SinkStage, type Stage } from './chain/stages.ts';
import type { OutputPartition } from './exchange/output-partition.ts';
import { SinkOperator } from './sink-operator.ts';
import { type SnapshotPlace, toRestoredPart } from './state-files.ts';
import { type KeyedOperator, type SourceOperator, Task, type TaskInput, type TaskReporter } from './task.ts';

export interface TaskEnvironment {
  readonly job: ExecutableJob;
  readonly token: FencingToken;
  /** `<namespace>/<name>` of the lineage. */
  readonly lineageId: string;
  readonly storage: CheckpointStorage;
  readonly createBackend: KeyedStateBackendFactory;
  readonly reporter: TaskReporter;
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
  channels: { readonly input: TaskInput | undefined; readonly partitions: readonly OutputPartition[] },
): Promise<Task> {
  const { job, token, reporter, snapshotTarget, mayCommit, nowMs, monotonicMs } = environment;
  const { vertexId, subtaskIndex } = deployment.task;
  const vertex = job.graph.vertices.find(({ id }) => id === vertexId);
  assert(vertex !== undefined, `the deployment names the vertex '${vertexId}', which is not in the graph`);
  const builder = new ChainBuilder(environment, vertex, deployment);
  const { head, output } = await builder.build(channels.partitions);
  const task: Task = new Task({
    id: { vertexId, subtaskIndex },
    token,
    head,
    source: builder.source(() => task),
    input: channels.input,
    keyed: builder.keyed,
    sinks: builder.sinks,
    output,
    partitions: channels.partitions,
    reporter,
    snapshotTarget,
    mayCommit,
    nowMs,
    monotonicMs,
  });
  return task;
}

class ChainBuilder {
  readonly keyed: KeyedOperator[] = [];
  readonly sinks: SinkOperator[] = [];
  readonly #environment: TaskEnvironment;
  readonly #vertex: JobVertex;
  readonly #deployment: SubtaskDeployment;

  constructor(environment: TaskEnvironment, vertex: JobVertex, deployment: SubtaskDeployment) {
    this.#environment = environment;
    this.#vertex = vertex;
    this.#deployment = deployment;
  }

  /** From the last operator to the first: each one is given the next. */
  async build(
    partitions: readonly OutputPartition[],
  ): Promise<{ readonly head: Stage; readonly output: OutputStage | undefined }> {
    const { operators } = this.#vertex;
    const last = operators.at(-1);
    assert(last !== undefined, 'a vertex without operators');
    const output = last.type === 'sink' ? undefined : new OutputStage(last, partitions, this.#environment.monotonicMs);
    let head: Stage | undefined = output;
    for (const operator of operators.toReversed()) {
      head = await this.#stage(operator, head);
    }
    assert(head !== undefined, 'a chain has at least one stage');
    return { head, output };
  }

  source(task: () => Task): SourceOperator | undefined {
    const [operator] = this.#vertex.operators;
    const implementation = operator === undefined ? undefined : this.#implementation(operator);
    if (operator === undefined || implementation?.type !== 'source') {
      return undefined;
    }
    const { source } = implementation;
    return { operator, source, createReader: () => this.#createReader(operator, source, task()) };
  }

  #createReader(operator: OperatorDescription, source: Source<unknown, unknown>, task: Task) {
    const splits = this.#restore(operator).splits.map((split) => decodeSplit(split, source.positionType));
    const context = {
      subtaskIndex: this.#deployment.task.subtaskIndex,
      parallelism: this.#vertex.parallelism,
      wake: this.#environment.wake,
      fail: (error: unknown) => task.fail(new OperatorFailure(operator, error)),
      nowMs: this.#environment.nowMs,
    };
    return source.createReader(context, splits);
  }

  async #stage(operator: OperatorDescription, next: Stage | undefined): Promise<Stage | undefined> {
    const implementation = this.#implementation(operator);
    if (implementation.type === 'source') {
      return next;
    }
    if (implementation.type === 'sink') {
      assert(next === undefined, 'a sink is the last of its chain');
      return this.#sinkStage(operator, implementation);
    }
    assert(next !== undefined, `operator ${operator.id} has nothing after it`);
    switch (implementation.type) {
      case 'map':
        return new MapStage(operator, implementation.map, next);
      case 'filter':
        return new FilterStage(operator, implementation.filter, next);
      case 'flatMap':
        return new FlatMapStage(operator, implementation.flatMap, next);
      case 'keyedProcess':
        return this.#keyedStage(operator, implementation, next);
      default:
        return unreachable(implementation);
    }
  }

  async #keyedStage(
    operator: OperatorDescription,
    implementation: OperatorImplementation & { type: 'keyedProcess' },
    next: Stage,
  ): Promise<Stage> {
    const { createBackend, storage, wake, nowMs } = this.#environment;
    const { maxParallelism, parallelism } = this.#vertex;
    const { subtaskIndex } = this.#deployment.task;
    const keyGroups = keyGroupRangeOf(subtaskIndex, parallelism, maxParallelism);
    const options: KeyedStateBackendOptions = {
      name: `${operator.id}-${subtaskIndex}`,
      keyType: implementation.key.keyType,
      namespaceType: implementation.namespaceType,
      states: implementation.states,
      timers: operator.keyed?.timers ?? false,
      maxParallelism,
      keyGroups,
      nowMs,
      onRoom: wake,
    };
    let backend: KeyedStateBackend;
    try {
      const parts = this.#restore(operator).keyedParts.map((part) => toRestoredPart(storage, part));
      backend = await createBackend(options, await Promise.all(parts));
    } catch (error) {
      throw new OperatorFailure(operator, error);
    }
    const stage = new KeyedProcessStage({
      operator,
      key: implementation.key,
      function: implementation.function,
      backend,
      maxParallelism,
      nowMs,
      next,
    });
    this.keyed.push({ operator, backend, stage, keyGroups });
    return stage;
  }

  async #sinkStage(operator: OperatorDescription, { sink }: OperatorImplementation & { type: 'sink' }): Promise<Stage> {
    const { lineageId, token } = this.#environment;
    const { subtaskIndex } = this.#deployment.task;
    let sinkOperator: SinkOperator;
    try {
      const writer = sink.createWriter({
        lineageId,
        token,
        uid: operator.id,
        subtaskIndex,
        parallelism: this.#vertex.parallelism,
      });
      sinkOperator = new SinkOperator({ operator, writer, stage: new SinkStage(operator, writer) });
    } catch (error) {
      throw new OperatorFailure(operator, error);
    }
    await sinkOperator.restore(this.#restore(operator).committables);
    this.sinks.push(sinkOperator);
    return sinkOperator.stage;
  }

  #implementation(operator: OperatorDescription): OperatorImplementation {
    const implementation = this.#environment.job.operators.get(operator.id);
    assert(implementation !== undefined, `the graph has operator '${operator.id}', the job has no implementation of it`);
    return implementation;
  }

  #restore(operator: OperatorDescription): OperatorSubtaskRestore {
    const restored = this.#deployment.operators.find(({ uid }) => uid === operator.id);
    return restored ?? { uid: operator.id, keyedParts: [], splits: [], committables: [] };
  }
}
