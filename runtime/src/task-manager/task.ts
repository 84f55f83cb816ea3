import { assert } from '../core/assert.ts';
import { PageReader } from '../core/pages/page-reader.ts';
import type {
  OperatorMetric,
  OperatorSubtaskState,
  SourceEventTime,
  SubtaskId,
  SubtaskMetrics,
} from '../core/protocol/messages.ts';
import { maxTimestampMs, minTimestampMs, type Timestamps } from '../core/time/event-time.ts';
import type { CheckpointBarrier } from '../transport/data/data-transport.ts';
import type { KeyedProcessStage, PendingTimers } from './chain/keyed-process-stage.ts';
import type { OutputStage } from './chain/output-stage.ts';
import type { Stage, StageInput } from './chain/stage.ts';
import type { TimestampsStage } from './chain/timestamps-stage.ts';
import type { OutputPartition } from './exchange/output-partition.ts';
import type { SubtaskInput } from './exchange/thread-exchange.ts';
import type { FixedHeadState, HeadState, KeyedOperator } from './head-state.ts';
import type { SinkOperator } from './sink-operator.ts';
import { SliceSize } from './slice-size.ts';
import type { SourceOperator } from './source-operator.ts';
import { type TaskActivity, TaskTime } from './task-time.ts';

/** Records that a source gives at once; a page of small records has a few times as many. */
const pollRecordCountMax = 512;
/** Of a subtask that nobody has seen at work yet: its first record may become a million. */
const sliceCountInitial = 1;
/** A page of small records, whole. */
const sliceCountMax = 4096;

export interface TaskReporter {
  acknowledged(
    task: SubtaskId,
    report: {
      readonly checkpointId: number;
      readonly operators: readonly OperatorSubtaskState[];
      readonly syncDurationMs: number;
      readonly asyncDurationMs: number;
      readonly alignmentDurationMs: number;
      readonly uploadedSizeBytes: number;
    },
  ): void;
  declined(task: SubtaskId, checkpointId: number, error: unknown): void;
  committed(task: SubtaskId, checkpointId: number): void;
  /** `pendingTimers`: of the processing-time timers that will never fire. */
  endOfInput(task: SubtaskId, pendingTimers: PendingTimers | undefined): void;
  failed(task: SubtaskId, error: unknown): void;
}

export interface TaskOptions {
  readonly id: SubtaskId;
  /** Of the chain. */
  readonly head: Stage;
  /** Of the chain's first operator, by ordinal. */
  readonly inputs: readonly StageInput[];
  readonly source: SourceOperator | undefined;
  readonly input: SubtaskInput | undefined;
  /** The chain's first operator, if it is keyed: no other can be. */
  readonly keyed: KeyedOperator | undefined;
  readonly headState: HeadState;
  readonly sinks: readonly SinkOperator[];
  /** Stages that make watermarks of their own. */
  readonly timestamps: readonly TimestampsStage[];
  /** Where records leave the chain. */
  readonly outputs: readonly OutputStage[];
  readonly partitions: readonly OutputPartition[];
  /** What the operators of the chain count by themselves. Not asked after `close`. */
  readonly measureOperators: () => readonly OperatorMetric[];
  readonly reporter: TaskReporter;
  /** Output may leave only while the TaskManager holds its lease. */
  readonly mayCommit: () => boolean;
  readonly nowMs: () => number;
  readonly monotonicMs: () => number;
}

/** A batch or page that is being worked on. */
interface BatchUnderWay {
  readonly input: StageInput;
  readonly records: readonly unknown[];
  readonly timestamps: Timestamps;
  /** The first record of the next slice. */
  next: number;
}

/** What a checkpoint holds of a subtask, but for its sinks, as of the barrier. */
interface FixedState {
  readonly source: OperatorSubtaskState | undefined;
  readonly head: FixedHeadState;
  readonly alignmentDurationMs: number;
}

/**
 * One subtask: a chain of operators with its inputs, outputs and state, run in steps by its slot's thread.
 *
 * 1. A step works on one slice of records, and only while no output waits for credit and the state takes changes; barriers and the end pass
 *    always. The rest of a batch comes before anything else is read, so that whatever follows it on its channel stays behind it.
 * 2. What a checkpoint holds is fixed in the same step in which its barrier goes out.
 * 3. While a watermark's event-time timers are being fired, a slice per step, nothing is read but barriers that have arrived.
 * 4. The end of the input is a watermark at the end of time first, which fires all event-time timers. After the end a subtask emits nothing
 *    (processing-time timers that are not due by then never fire), but passes barriers on and takes part in checkpoints until it is
 *    cancelled.
 * 5. After a barrier that stops sources it emits nothing either, unless that checkpoint is aborted.
 * 6. The first error ends it; it is reported once.
 */
export class Task {
  readonly id: SubtaskId;
  readonly #options: TaskOptions;
  readonly #pages = new PageReader();
  readonly #asynchronous = new Set<Promise<void>>();
  #state: 'Created' | 'Running' | 'Failed' | 'Closed' = 'Created';
  #ended = false;
  /** All input channels have ended; event-time timers may be left to fire before the subtask has. */
  #isEnding = false;
  #stoppedBy: number | undefined;
  #trigger: CheckpointBarrier | undefined;
  #abortedId = 0;
  readonly #slice: SliceSize;
  #batch: BatchUnderWay | undefined;
  #recordsIn = 0;
  #bytesIn = 0;
  #watermarkMs = minTimestampMs;
  readonly #time: TaskTime;

  constructor(options: TaskOptions) {
    this.id = options.id;
    this.#options = options;
    const countMax = options.source === undefined ? sliceCountMax : pollRecordCountMax;
    this.#slice = new SliceSize({ initialCount: sliceCountInitial, countMax });
    this.#time = new TaskTime({ hasOutputs: options.partitions.length > 0 });
  }

  start(): void {
    assert(this.#state === 'Created', 'a task is started once');
    this.#state = 'Running';
    this.#time.start(this.#options.monotonicMs());
    this.#guard(() => this.#options.source?.open());
  }

  /** Does a bounded amount of work; false when there is nothing to do before something arrives. `nowMs` is monotonic. */
  step(nowMs: number): boolean {
    if (this.#state !== 'Running') {
      return false;
    }
    const hasWorked = this.#guard(() => this.#step()) === true;
    this.#time.enter(hasWorked ? 'Busy' : this.#activityAtRest(), nowMs);
    return hasWorked;
  }

  /** After a step that did something: what became of its output says what the time until the next one is. */
  stepped(nowMs: number): void {
    if (this.#canSend()) {
      this.#time.wait(nowMs);
    } else {
      this.#time.enter('BackPressured', nowMs);
    }
  }

  /** No task of the thread ran in between. */
  threadPaused(fromMs: number, toMs: number): void {
    this.#time.threadPaused(fromMs, toMs);
  }

  /** Milliseconds since the epoch when a timer is due; undefined when there is nothing to wait for. */
  nextTimerMs(): number | undefined {
    if (this.#state !== 'Running' || this.#isQuiet() || !this.#hasRoom()) {
      return undefined;
    }
    return this.#options.keyed?.stage.nextTimerMs();
  }

  /** By the monotonic clock, when a watermark may be due; undefined when there is nothing to wait for. */
  nextTickMs(): number | undefined {
    if (this.#state !== 'Running' || this.#isQuiet() || !this.#hasRoom()) {
      return undefined;
    }
    let next = this.#options.source?.eventTime?.nextTickMs;
    for (const { generator } of this.#options.timestamps) {
      next = Math.min(next ?? Number.POSITIVE_INFINITY, generator.nextTickMs);
    }
    return next;
  }

  /** Sends pages that are not full but have waited for `delayMs`; gives when the next one is due. */
  flushDue(nowMs: number, delayMs: number): number | undefined {
    if (this.#state !== 'Running') {
      return undefined;
    }
    let next: number | undefined;
    for (const partition of this.#options.partitions) {
      const since = partition.unsentSinceMs;
      if (since === undefined) {
        continue;
      }
      if (since + delayMs <= nowMs) {
        partition.flush();
      } else if (next === undefined || since + delayMs < next) {
        next = since + delayMs;
      }
    }
    return next;
  }

  /** Only for subtasks with a source; the barrier goes out with the next step. */
  triggerCheckpoint(barrier: CheckpointBarrier): void {
    if (this.#options.source !== undefined && barrier.checkpointId > this.#abortedId) {
      this.#trigger = barrier;
    }
  }

  abortCheckpoint(checkpointId: number): void {
    this.#abortedId = Math.max(this.#abortedId, checkpointId);
    if (this.#trigger !== undefined && this.#trigger.checkpointId <= checkpointId) {
      this.#trigger = undefined;
    }
    if (this.#stoppedBy !== undefined && this.#stoppedBy <= checkpointId) {
      this.#stoppedBy = undefined;
    }
    this.#options.input?.gate.abort(checkpointId);
    this.#options.headState.discard(checkpointId);
  }

  /** The checkpoint is durable: makes everything up to it visible. */
  completeCheckpoint(checkpointId: number): void {
    const { sinks } = this.#options;
    if (sinks.length > 0 && this.#state === 'Running') {
      this.#track(this.#commit(checkpointId));
    }
  }

  get recordsIn(): number {
    return this.#recordsIn;
  }

  metrics(): SubtaskMetrics {
    const { keyed, headState, sinks, outputs, partitions, input, measureOperators, monotonicMs } = this.#options;
    const ends = [...outputs, ...sinks.map(({ stage }) => stage)];
    const recordsOut = ends.reduce((sum, { recordCount }) => sum + recordCount, 0);
    const isClosed = this.#state === 'Closed';
    const stateSizeBytes = isClosed ? 0 : headState.sizeBytes;
    const lateRecordsDropped = keyed?.stage.lateRecordCount ?? 0;
    return {
      ...{ task: this.id, recordsIn: this.#recordsIn, recordsOut, stateSizeBytes, lateRecordsDropped },
      bytesIn: this.#bytesIn,
      bytesOut: partitions.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
      inputQueueLength: input?.gate.queuedElementCount ?? 0,
      outputQueueLength: partitions.reduce((sum, { queuedElementCount }) => sum + queuedElementCount, 0),
      ...this.#time.totals(monotonicMs()),
      watermarkMs: this.#watermarkMs === minTimestampMs ? undefined : this.#watermarkMs,
      operators: isClosed ? [] : (this.#guard(measureOperators) ?? []),
    };
  }

  /** Of a source in an alignment group: what the others are told. */
  sourceEventTime(): SourceEventTime | undefined {
    const { source } = this.#options;
    const time = source?.eventTime;
    const group = source?.operator.watermarks?.alignment?.group;
    return group === undefined || time === undefined || this.#state !== 'Running'
      ? undefined
      : { task: this.id, group, minimumMs: time.minimumMs };
  }

  /** How far the others in its alignment group are; undefined: there is nobody to wait for. */
  alignSource(othersMinimumMs: number | undefined): void {
    this.#options.source?.eventTime?.align(othersMinimumMs);
  }

  /** For errors that happen outside a step. */
  fail(error: unknown): void {
    if (this.#state === 'Running' || this.#state === 'Created') {
      this.#state = 'Failed';
      this.#options.reporter.failed(this.id, error);
    }
  }

  /** Resolves when nothing of this task is at work any more: no reader, no open sink, no write. */
  async close(): Promise<void> {
    this.#state = 'Closed';
    const { source, sinks, headState } = this.#options;
    headState.discard(Number.POSITIVE_INFINITY);
    await Promise.allSettled(this.#asynchronous);
    await Promise.allSettled([source?.close(), ...sinks.map(({ writer }) => writer.close()), headState.close()]);
  }

  #guard<T>(action: () => T): T | undefined {
    try {
      return action();
    } catch (error) {
      this.fail(error);
      return undefined;
    }
  }

  #step(): boolean {
    const trigger = this.#trigger;
    if (trigger !== undefined) {
      this.#trigger = undefined;
      this.#takeCheckpoint(trigger);
      return true;
    }
    const { input, keyed } = this.#options;
    if (!this.#hasRoom()) {
      this.#restEventTime();
      return false;
    }
    if (keyed?.stage.isAdvancing) {
      this.#restEventTime();
      return this.#advance(keyed.stage, input);
    }
    if (!this.#isQuiet()) {
      this.#tickEventTime();
    }
    const hasFired = this.#fireTimers();
    if (this.#batch !== undefined) {
      this.#processSlice(this.#batch);
      return true;
    }
    return (input === undefined ? this.#readSource() : this.#readInput(input)) || hasFired;
  }

  /** Nobody takes records now: that nothing comes says nothing about the stream. */
  #restEventTime(): void {
    this.#options.source?.eventTime?.rest();
    for (const { generator } of this.#options.timestamps) {
      generator.rest();
    }
  }

  #tickEventTime(): void {
    const watermark = this.#options.source?.eventTime?.tick();
    if (watermark !== undefined) {
      this.#watermark(watermark.timestampMs, watermark.isIdle);
    }
    for (const stage of this.#options.timestamps) {
      stage.tick();
    }
  }

  #activityAtRest(): TaskActivity {
    if (!this.#canSend()) {
      return 'BackPressured';
    }
    // State that takes no changes for now is nobody else's fault.
    return this.#options.headState.hasRoom ? 'Idle' : 'Busy';
  }

  #hasRoom(): boolean {
    return this.#canSend() && this.#options.headState.hasRoom;
  }

  #canSend(): boolean {
    for (const partition of this.#options.partitions) {
      if (!partition.hasRoom) {
        return false;
      }
    }
    return true;
  }

  #watermark(timestampMs: number, isIdle: boolean): void {
    this.#watermarkMs = timestampMs;
    this.#options.head.watermark(timestampMs, isIdle);
  }

  #isQuiet(): boolean {
    return this.#ended || this.#stoppedBy !== undefined;
  }

  #fireTimers(): boolean {
    const stage = this.#options.keyed?.stage;
    if (stage === undefined || this.#isQuiet()) {
      return false;
    }
    const timerMs = stage.nextTimerMs();
    return timerMs !== undefined && timerMs <= this.#options.nowMs() && stage.fireTimers() > 0;
  }

  /** Goes on with a watermark whose timers are not all fired. */
  #advance(stage: KeyedProcessStage, input: SubtaskInput | undefined): boolean {
    const event = input?.gate.pollCheckpoint();
    if (event?.type === 'Checkpoint') {
      this.#takeCheckpoint(event.barrier);
      return true;
    }
    if (this.#stoppedBy !== undefined) {
      return false;
    }
    stage.advance();
    this.#endIfDone();
    return true;
  }

  #readSource(): boolean {
    const { source, head } = this.#options;
    if (source === undefined || this.#isQuiet()) {
      return false;
    }
    const polled = source.poll(this.#slice.count);
    if (polled === 'Pending') {
      return false;
    }
    if (polled === 'End') {
      source.eventTime?.end();
      this.#beginEnd();
      return true;
    }
    const { splitId, records, isLast } = polled;
    if (records.length > 0) {
      this.#recordsIn += records.length;
      this.#measured(records.length, () => head.process(records, source.eventTime?.timestamps(records, splitId)));
    }
    if (isLast) {
      source.eventTime?.finishSplit(splitId);
    }
    return true;
  }

  #readInput({ gate, recordTypes, ordinals }: SubtaskInput): boolean {
    const event = gate.poll();
    if (event === undefined) {
      return false;
    }
    switch (event.type) {
      case 'Batch':
        this.#process(ordinals[event.inputIndex], event.records, event.timestamps);
        return true;
      case 'Page': {
        const recordType = recordTypes[event.inputIndex];
        assert(recordType !== undefined, 'a page of an input channel that does not exist');
        this.#bytesIn += event.records.byteLength;
        const { records, timestamps } = this.#pages.read(event.records, recordType);
        this.#process(ordinals[event.inputIndex], records, timestamps);
        return true;
      }
      case 'Watermark':
        this.#watermark(event.timestampMs, event.isIdle);
        return true;
      case 'Checkpoint':
        this.#takeCheckpoint(event.barrier);
        return true;
      case 'End':
        this.#beginEnd();
        return true;
    }
  }

  #process(ordinal: number | undefined, records: readonly unknown[], timestamps: Timestamps): void {
    const input = this.#options.inputs[ordinal ?? -1];
    assert(input !== undefined, 'records for an input that the operator does not have');
    this.#processSlice({ input, records, timestamps, next: 0 });
  }

  /** Authors' functions may be slow, or make very many records of one: what is left waits for the next step, and for room. */
  #processSlice(batch: BatchUnderWay): void {
    const { input, records, timestamps, next } = batch;
    const end = Math.min(records.length, next + this.#slice.count);
    this.#recordsIn += end - next;
    batch.next = end;
    this.#batch = end < records.length ? batch : undefined;
    this.#measured(end - next, () => {
      if (next === 0 && end === records.length) {
        input.process(records, timestamps);
      } else {
        input.process(records.slice(next, end), timestamps?.slice(next, end));
      }
    });
  }

  #measured(count: number, work: () => void): void {
    const { partitions, monotonicMs } = this.#options;
    const startedAtMs = monotonicMs();
    work();
    const durationMs = monotonicMs() - startedAtMs;
    const queuedElementCount = this.#canSend() ? 0 : partitions.reduce((sum, partition) => sum + partition.queuedElementCount, 0);
    this.#slice.measured({ count, durationMs, queuedElementCount });
  }

  /** Once more for timers that were registered since the last watermark, and for a source, which sees no watermark but this. */
  #beginEnd(): void {
    this.#isEnding = true;
    this.#watermark(maxTimestampMs, false);
    this.#endIfDone();
  }

  #endIfDone(): void {
    if (this.#isEnding && !this.#options.keyed?.stage.isAdvancing) {
      this.#isEnding = false;
      this.#end();
    }
  }

  #end(): void {
    this.#ended = true;
    for (const partition of this.#options.partitions) {
      partition.sendEnd();
    }
    this.#options.reporter.endOfInput(this.id, this.#options.keyed?.stage.pendingTimers());
  }

  #takeCheckpoint(barrier: CheckpointBarrier): void {
    const { checkpointId } = barrier;
    const { partitions, source, input, headState, sinks, reporter, monotonicMs } = this.#options;
    const startedAtMs = monotonicMs();
    this.#stoppedBy = barrier.stopSources ? checkpointId : undefined;
    for (const partition of partitions) {
      partition.sendBarrier(barrier);
    }
    for (const sink of sinks) {
      sink.prepareCommit(checkpointId);
    }
    let fixed: FixedState;
    try {
      const alignmentDurationMs = input?.gate.alignmentDurationMs ?? 0;
      fixed = { source: source?.state(), head: headState.fix(barrier), alignmentDurationMs };
    } catch (error) {
      reporter.declined(this.id, checkpointId, error);
      return;
    }
    const syncDurationMs = monotonicMs() - startedAtMs;
    this.#track(this.#finishCheckpoint(barrier, fixed, syncDurationMs));
  }

  async #finishCheckpoint(barrier: CheckpointBarrier, fixed: FixedState, syncDurationMs: number): Promise<void> {
    const { headState, sinks, reporter, monotonicMs } = this.#options;
    const { checkpointId } = barrier;
    const startedAtMs = monotonicMs();
    const operators = fixed.source === undefined ? [] : [fixed.source];
    // Output that cannot be made durable cannot be kept for the next checkpoint either: that ends the task, not just the checkpoint.
    for (const sink of sinks) {
      operators.push(await sink.prepared(checkpointId));
    }
    const isWanted = () => this.#state === 'Running' && checkpointId > this.#abortedId;
    try {
      const { state, uploadedSizeBytes } = await headState.write(fixed.head, barrier);
      if (state !== undefined) {
        operators.push(state);
      }
      const asyncDurationMs = monotonicMs() - startedAtMs;
      if (isWanted()) {
        reporter.acknowledged(this.id, {
          ...{ checkpointId, operators, syncDurationMs, asyncDurationMs },
          ...{ alignmentDurationMs: fixed.alignmentDurationMs, uploadedSizeBytes },
        });
      }
    } catch (error) {
      if (isWanted()) {
        reporter.declined(this.id, checkpointId, error);
      }
    } finally {
      headState.settled(checkpointId);
    }
  }

  /** See `HeadState.putAhead`. */
  async putAhead(): Promise<void> {
    if (this.#state === 'Running') {
      await this.#options.headState.putAhead();
    }
  }

  async #commit(checkpointId: number): Promise<void> {
    const mayCommit = () => this.#state === 'Running' && this.#options.mayCommit();
    let isCommitted = true;
    for (const sink of this.#options.sinks) {
      isCommitted = (await sink.commit(checkpointId, mayCommit)) && isCommitted;
    }
    if (isCommitted && this.#state === 'Running') {
      this.#options.reporter.committed(this.id, checkpointId);
    }
  }

  /** Errors of work beside the steps end the task like errors of a step. */
  #track(work: Promise<void>): void {
    const tracked = work
      .catch((error: unknown) => this.fail(error))
      .finally(() => {
        this.#asynchronous.delete(tracked);
      });
    this.#asynchronous.add(tracked);
  }
}
