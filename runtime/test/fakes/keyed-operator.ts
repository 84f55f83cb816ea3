import type { WatermarkFloor } from '../../src/core/checkpoint/manifest.ts';
import type { StateImplementation } from '../../src/core/job-graph/executable-job.ts';
import type { OperatorDescription } from '../../src/core/job-graph/job-graph.ts';
import type { KeyedProcessFunction } from '../../src/core/job-graph/keyed-process.ts';
import { type KeyGroupRange, keyGroupOf, keyGroupRangeOf } from '../../src/core/key-groups/key-group.ts';
import type { Timestamps } from '../../src/core/time/event-time.ts';
import { BinaryWriter } from '../../src/core/types/binary-writer.ts';
import type { Type } from '../../src/core/types/type.ts';
import type { StateDirectories } from '../../src/state-backend/conformance-fixtures.ts';
import type { KeyedStateBackend, KeyedStateBackendFactory, RestoredPart } from '../../src/state-backend/state-backend.ts';
import { KeyedProcessStage } from '../../src/task-manager/chain/keyed-process-stage.ts';
import { OperatorOutputs } from '../../src/task-manager/chain/operator-outputs.ts';
import type { Stage } from '../../src/task-manager/chain/stage.ts';
import { WatermarkFloors } from '../../src/task-manager/chain/watermark-floors.ts';
import { OperatorMetricGroup } from '../../src/task-manager/operator-metric-group.ts';

export interface TestedOperator<T> {
  readonly function: KeyedProcessFunction;
  readonly states: readonly StateImplementation[];
  readonly namespaceType: Type<unknown> | undefined;
  readonly keyType: Type<unknown>;
  readonly select: (record: T) => unknown;
  readonly sideOutputTags?: readonly string[];
}

export interface Emitted {
  /** Undefined: the main output. */
  readonly outputTag: string | undefined;
  readonly record: unknown;
  readonly timestampMs: number | undefined;
}

/** What a checkpoint keeps of an operator. */
export interface OperatorCheckpoint {
  readonly parts: readonly RestoredPart[];
  readonly floors: readonly WatermarkFloor[];
}

interface Subtask {
  readonly keyGroups: KeyGroupRange;
  readonly backend: KeyedStateBackend;
  readonly stage: KeyedProcessStage;
}

const maxParallelism = 128;

/** A keyed operator with real state in one or several subtasks, as tasks run it but for the channels between them: fed by hand, read by hand. */
export class KeyedOperator<T> {
  nowMs = 0;
  readonly #operator: TestedOperator<T>;
  readonly #subtasks: Subtask[] = [];
  #emitted: Emitted[] = [];
  #onRoom = Promise.withResolvers<void>();

  private constructor(operator: TestedOperator<T>) {
    this.#operator = operator;
  }

  static async open<T>(
    operator: TestedOperator<T>,
    options: {
      readonly createBackend: KeyedStateBackendFactory;
      readonly parallelism?: number;
      readonly restored?: OperatorCheckpoint;
      readonly nowMs?: number;
    },
  ): Promise<KeyedOperator<T>> {
    const opened = new KeyedOperator(operator);
    opened.nowMs = options.nowMs ?? 0;
    const { createBackend, parallelism = 1, restored } = options;
    for (let subtaskIndex = 0; subtaskIndex < parallelism; subtaskIndex++) {
      const keyGroups = keyGroupRangeOf(subtaskIndex, parallelism, maxParallelism);
      const parts = (restored?.parts ?? []).filter(
        (part) => part.keyGroups.first <= keyGroups.last && part.keyGroups.last >= keyGroups.first,
      );
      const backend = await createBackend(
        {
          name: `tested-${subtaskIndex}`,
          keyType: operator.keyType,
          namespaceType: operator.namespaceType,
          states: operator.states,
          timers: operator.function.timer !== undefined,
          maxParallelism,
          keyGroups,
          nowMs: () => opened.nowMs,
          onRoom: () => opened.#onRoom.resolve(),
        },
        parts,
      );
      opened.#subtasks.push({ keyGroups, backend, stage: opened.#stage(backend, keyGroups, restored?.floors ?? []) });
    }
    return opened;
  }

  /** Records with event times, or none of them with one. */
  process(records: readonly T[], timestampsMs?: readonly number[]): void {
    const writer = new BinaryWriter();
    for (const { stage, keyGroups } of this.#subtasks) {
      const isOwn = records.map((record) => {
        writer.reset();
        this.#operator.keyType.encodeKey(this.#operator.select(record), writer);
        const keyGroup = keyGroupOf(writer.view(), maxParallelism);
        return keyGroup >= keyGroups.first && keyGroup <= keyGroups.last;
      });
      const own = records.filter((_, index) => isOwn[index]);
      if (own.length > 0) {
        stage.process(own, timestampsMs && Float64Array.from(timestampsMs.filter((_, index) => isOwn[index])));
      }
    }
  }

  watermark(timestampMs: number): void {
    for (const { stage } of this.#subtasks) {
      stage.watermark(timestampMs, false);
      while (stage.isAdvancing) {
        stage.advance();
      }
    }
  }

  advanceClock(nowMs: number): void {
    this.nowMs = nowMs;
    for (const { stage } of this.#subtasks) {
      while ((stage.nextTimerMs() ?? Number.POSITIVE_INFINITY) <= nowMs) {
        stage.fireTimers();
      }
    }
  }

  /** Resolves when the state takes changes: before every batch and watermark, as a task waits. */
  async room(): Promise<void> {
    while (this.#subtasks.some(({ backend }) => !backend.hasRoom)) {
      this.#onRoom = Promise.withResolvers<void>();
      await this.#onRoom.promise;
    }
  }

  /** What was emitted since the last call. */
  takeEmitted(): readonly Emitted[] {
    const emitted = this.#emitted;
    this.#emitted = [];
    return emitted;
  }

  get lateRecordCount(): number {
    return this.#subtasks.reduce((sum, { stage }) => sum + stage.lateRecordCount, 0);
  }

  get stateSizeBytes(): number {
    return this.#subtasks.reduce((sum, { backend }) => sum + backend.sizeBytes(), 0);
  }

  get backends(): readonly KeyedStateBackend[] {
    return this.#subtasks.map(({ backend }) => backend);
  }

  async checkpoint(directories: StateDirectories): Promise<OperatorCheckpoint> {
    const parts: RestoredPart[] = [];
    for (const { backend, keyGroups } of this.#subtasks) {
      const written = await backend.snapshot().write(directories.createTarget());
      parts.push(await directories.toRestoredPart(written, keyGroups));
    }
    return { parts, floors: this.#subtasks.flatMap(({ stage }) => stage.watermarkFloors()) };
  }

  async close(): Promise<void> {
    await Promise.all(this.#subtasks.map(({ backend }) => backend.close()));
  }

  #stage(backend: KeyedStateBackend, keyGroups: KeyGroupRange, floors: readonly WatermarkFloor[]): KeyedProcessStage {
    const { keyType, select, states, namespaceType, sideOutputTags = [] } = this.#operator;
    const description: OperatorDescription = {
      id: 'tested',
      uid: 'tested',
      type: 'keyedProcess',
      name: 'tested',
      keyed: {
        keyType: keyType.descriptor,
        states: states.map(({ declaration }) => declaration),
        timers: true,
        namespaceType: namespaceType?.descriptor,
      },
      source: undefined,
      sink: undefined,
    };
    const sides = new Map(sideOutputTags.map((tag) => [tag, this.#collect(tag)]));
    return new KeyedProcessStage({
      operator: description,
      keys: [{ select: select as (record: unknown) => unknown, keyType }],
      keyType,
      function: this.#operator.function,
      backend,
      broadcastState: undefined,
      operatorLists: undefined,
      metrics: new OperatorMetricGroup('tested'),
      floors: new WatermarkFloors(keyGroups, floors),
      maxParallelism,
      nowMs: () => this.nowMs,
      outputs: new OperatorOutputs(description, this.#collect(undefined), sides),
    });
  }

  #collect(outputTag: string | undefined): Stage {
    return {
      process: (records: readonly unknown[], timestamps: Timestamps) => {
        for (const [index, record] of records.entries()) {
          this.#emitted.push({ outputTag, record, timestampMs: timestamps?.[index] });
        }
      },
      watermark: () => {},
    };
  }
}
