import { assert, unreachable } from '../core/assert.ts';
import type { OperatorImplementation } from '../core/job-graph/executable-job.ts';
import type { JobVertex, OperatorDescription } from '../core/job-graph/job-graph.ts';
import type { InitializationContext, InitializeFunction } from '../core/job-graph/operator-context.ts';
import { keyGroupRangeOf } from '../core/key-groups/key-group.ts';
import type { OperatorMetric, OperatorSubtaskRestore, SubtaskDeployment } from '../core/protocol/messages.ts';
import { namedType } from '../core/types/named-type.ts';
import { namedStates } from '../state-backend/named-states.ts';
import type { KeyedStateBackend, KeyedStateBackendOptions } from '../state-backend/state-backend.ts';
import { BroadcastState } from './broadcast-state.ts';
import type { TaskEnvironment } from './build-task.ts';
import { KeyedProcessStage } from './chain/keyed-process-stage.ts';
import { OperatorFailure } from './chain/operator-failure.ts';
import { OperatorOutputs } from './chain/operator-outputs.ts';
import { OutputStage } from './chain/output-stage.ts';
import { ProcessStage } from './chain/process-stage.ts';
import { SinkStage } from './chain/sink-stage.ts';
import type { Stage, StageInput } from './chain/stage.ts';
import { FilterStage, FlatMapStage, MapStage } from './chain/stateless-stages.ts';
import { TimestampsStage } from './chain/timestamps-stage.ts';
import { WatermarkFloors } from './chain/watermark-floors.ts';
import { ChainMetrics } from './chain-metrics.ts';
import { EventTimeGenerator } from './event-time-generator.ts';
import type { SubtaskOutput } from './exchange/thread-exchange.ts';
import type { BroadcastOperator, KeyedOperator, OperatorListsOperator } from './head-state.ts';
import { backendName } from './local-state.ts';
import { OperatorLists } from './operator-lists.ts';
import { SinkOperator } from './sink-operator.ts';
import { SourceOperator } from './source-operator.ts';
import { readState, toRestoredPart } from './state-files.ts';
import type { Task } from './task.ts';

/** The stages of one subtask with their state, and what the task must know of them. */
export class ChainBuilder {
  /** At most one: an operator with keys begins its chain. */
  keyed: KeyedOperator | undefined;
  broadcast: BroadcastOperator | undefined;
  operatorLists: OperatorListsOperator | undefined;
  readonly sinks: SinkOperator[] = [];
  readonly timestamps: TimestampsStage[] = [];
  readonly outputs: OutputStage[] = [];
  readonly #metrics: ChainMetrics;
  readonly #environment: TaskEnvironment;
  readonly #vertex: JobVertex;
  readonly #deployment: SubtaskDeployment;
  readonly #edges: readonly SubtaskOutput[];

  constructor(
    environment: TaskEnvironment,
    vertex: JobVertex,
    subtask: { readonly deployment: SubtaskDeployment; readonly outputs: readonly SubtaskOutput[] },
  ) {
    this.#environment = environment;
    this.#vertex = vertex;
    this.#metrics = new ChainMetrics(vertex);
    this.#deployment = subtask.deployment;
    this.#edges = subtask.outputs;
  }

  /** From the last operator to the first: each one is given the next. `inputs` are the first operator's, by ordinal. */
  async build(): Promise<{ readonly head: Stage; readonly inputs: readonly StageInput[] }> {
    let head: Stage | undefined;
    for (const operator of this.#vertex.operators.toReversed()) {
      head = await this.#stage(operator, head && this.#metrics.countBetween(operator.id, head));
    }
    assert(head !== undefined, 'a chain has at least one stage');
    const inputs = head instanceof KeyedProcessStage || head instanceof ProcessStage ? head.inputs : [head];
    return { head, inputs };
  }

  /** What the operators count by themselves; the first one receives what the task does. */
  measure(task: Task, source: SourceOperator | undefined): readonly OperatorMetric[] {
    const { keyed, sinks, outputs } = this;
    return this.#metrics.measure({ recordsIn: task.recordsIn, source, keyed, sinks, outputs });
  }

  source(task: () => Task): SourceOperator | undefined {
    const [operator] = this.#vertex.operators;
    const implementation = operator === undefined ? undefined : this.#implementation(operator);
    if (operator === undefined || implementation?.type !== 'source') {
      return undefined;
    }
    const { source, watermarks } = implementation;
    const { wake, nowMs, monotonicMs } = this.#environment;
    return new SourceOperator({
      operator,
      source,
      watermarks,
      splits: this.#restore(operator).splits,
      context: {
        subtaskIndex: this.#deployment.task.subtaskIndex,
        parallelism: this.#vertex.parallelism,
        wake,
        fail: (error) => task().fail(new OperatorFailure(operator, error)),
        nowMs,
        metrics: this.#metrics.groupOf(operator.id),
      },
      monotonicMs,
    });
  }

  async #stage(operator: OperatorDescription, chained: Stage | undefined): Promise<Stage> {
    const implementation = this.#implementation(operator);
    if (implementation.type === 'sink') {
      assert(chained === undefined, 'a sink is the last of its chain');
      return this.#sinkStage(operator, implementation);
    }
    const next = chained ?? this.#output(operator, undefined);
    switch (implementation.type) {
      case 'source':
        return next;
      case 'timestamps': {
        const generator = new EventTimeGenerator({
          operator,
          strategy: implementation.watermarks,
          source: undefined,
          monotonicMs: this.#environment.monotonicMs,
        });
        const stage = new TimestampsStage(generator, next);
        this.timestamps.push(stage);
        return stage;
      }
      case 'map':
        return new MapStage(operator, implementation.map, next, { metrics: this.#metrics.groupOf(operator.id) });
      case 'filter':
        return new FilterStage(operator, implementation.filter, next, { metrics: this.#metrics.groupOf(operator.id) });
      case 'flatMap':
        return new FlatMapStage(operator, implementation.flatMap, next, { metrics: this.#metrics.groupOf(operator.id) });
      case 'keyedProcess':
        return this.#keyedStage(operator, implementation, next);
      case 'process': {
        const operatorLists = await this.#operatorLists(operator);
        this.#initialize(operator, implementation.function.initialize, operatorLists);
        return new ProcessStage({
          operator,
          function: implementation.function,
          broadcastInputs: implementation.broadcastInputs,
          broadcastState: await this.#broadcastState(operator),
          operatorLists,
          metrics: this.#metrics.groupOf(operator.id),
          nowMs: this.#environment.nowMs,
          outputs: this.#outputs(operator, next),
        });
      }
      default:
        return unreachable(implementation);
    }
  }

  /** The edges of one of an operator's outputs; none where only its side outputs are read. */
  #output(operator: OperatorDescription, tag: string | undefined): OutputStage {
    const partitions = this.#edges
      .filter(({ operatorId, outputTag }) => operatorId === operator.id && outputTag === tag)
      .map(({ partition }) => partition);
    const output = new OutputStage(operator, partitions, this.#environment.monotonicMs);
    this.outputs.push(output);
    return output;
  }

  #outputs(operator: OperatorDescription, next: Stage): OperatorOutputs {
    const sides = new Map((operator.sideOutputs ?? []).map(({ tag }) => [tag, this.#output(operator, tag)]));
    return new OperatorOutputs(operator, next, sides);
  }

  async #keyedStage(
    operator: OperatorDescription,
    implementation: OperatorImplementation & { type: 'keyedProcess' },
    next: Stage,
  ): Promise<Stage> {
    const { createBackend, storage, restoredFiles, sharedFiles, wake, nowMs } = this.#environment;
    const { maxParallelism, parallelism } = this.#vertex;
    const { subtaskIndex } = this.#deployment.task;
    const keyGroups = keyGroupRangeOf(subtaskIndex, parallelism, maxParallelism);
    const { keyedParts, watermarkFloors } = this.#restore(operator);
    const options: KeyedStateBackendOptions = {
      name: backendName(operator.id, subtaskIndex),
      keyType: namedType(implementation.keyType, 'the key'),
      namespaceType: implementation.namespaceType && namedType(implementation.namespaceType, 'the namespace'),
      states: namedStates(implementation.states),
      timers: operator.keyed?.timers ?? false,
      maxParallelism,
      keyGroups,
      nowMs,
      onRoom: wake,
      storedFiles: sharedFiles(operator.id, subtaskIndex),
    };
    // Before the backend, which would have to be closed again.
    const broadcastState = await this.#broadcastState(operator);
    const operatorLists = await this.#operatorLists(operator);
    this.#initialize(operator, implementation.function.initialize, operatorLists);
    let backend: KeyedStateBackend;
    try {
      const parts = keyedParts.map((part) => toRestoredPart(storage, part, restoredFiles));
      backend = await createBackend(options, await Promise.all(parts));
      restoredFiles.keyGroupsRestored(keyGroups.last - keyGroups.first + 1);
    } catch (error) {
      throw new OperatorFailure(operator, error);
    }
    const stage = new KeyedProcessStage({
      operator,
      keys: implementation.keys,
      keyType: implementation.keyType,
      function: implementation.function,
      backend,
      broadcastState,
      operatorLists,
      metrics: this.#metrics.groupOf(operator.id),
      floors: new WatermarkFloors(keyGroups, watermarkFloors ?? []),
      maxParallelism,
      nowMs,
      outputs: this.#outputs(operator, next),
    });
    assert(this.keyed === undefined, 'an operator with keys begins its chain');
    this.keyed = { operator, backend, stage, keyGroups };
    return stage;
  }

  async #broadcastState(operator: OperatorDescription): Promise<BroadcastState | undefined> {
    const states = this.#environment.job.broadcastStates.get(operator.id);
    if (states === undefined) {
      return undefined;
    }
    const state = new BroadcastState(operator.id, namedStates(states));
    const handle = this.#restore(operator).broadcast;
    try {
      if (handle !== undefined) {
        state.restore(await readState(this.#environment.storage, handle));
      }
    } catch (error) {
      throw new OperatorFailure(operator, error);
    }
    assert(this.broadcast === undefined, 'an operator with several inputs begins its chain');
    this.broadcast = { operator, state };
    return state;
  }

  async #operatorLists(operator: OperatorDescription): Promise<OperatorLists | undefined> {
    const states = this.#environment.job.operatorListStates.get(operator.id);
    if (states === undefined) {
      return undefined;
    }
    const lists = new OperatorLists(operator.id, namedStates(states));
    try {
      // One after the other: the order of elements is that of the subtasks that had them.
      for (const { handle, ranges } of this.#restore(operator).operatorLists ?? []) {
        lists.restore(await readState(this.#environment.storage, handle), ranges);
      }
    } catch (error) {
      throw new OperatorFailure(operator, error);
    }
    assert(this.operatorLists === undefined, 'an operator with operator state begins its chain');
    this.operatorLists = { operator, lists };
    return lists;
  }

  #initialize(operator: OperatorDescription, initialize: InitializeFunction | undefined, lists: OperatorLists | undefined): void {
    const context: InitializationContext = {
      subtaskIndex: this.#deployment.task.subtaskIndex,
      parallelism: this.#vertex.parallelism,
      isRestored: this.#restore(operator).operatorLists !== undefined,
      metrics: this.#metrics.groupOf(operator.id),
    };
    try {
      initialize?.(context, lists?.handles ?? {});
    } catch (error) {
      throw new OperatorFailure(operator, error);
    }
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
        metrics: this.#metrics.groupOf(operator.id),
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
