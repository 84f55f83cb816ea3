import type { Type } from '../types/type.ts';
import type { MetricGroup } from './metric-group.ts';

/**
 * Where records come from: splits, each with a position. Splits are found by the JobManager; a subtask reads those it is given. The
 * checkpoint holds the position of every split, and a restore may deal them out to another number of subtasks.
 */
export interface Source<T, Position> {
  readonly name: string;
  readonly recordType: Type<T>;
  readonly positionType: Type<Position>;
  readonly bounded: boolean;
  /** False when nothing can be read twice (a socket): then a failure loses what was read since the last checkpoint. */
  readonly replayable: boolean;
  /** Upper limit of the source's parallelism; 1 for a source that cannot be divided. */
  readonly parallelismMax: number | undefined;
  /**
   * Finds the splits and where each starts. Called on the JobManager at every start; a split that the checkpoint knows keeps its
   * stored position, a new one starts at the given one.
   */
  discoverSplits(): Promise<readonly Split<Position>[]>;
  /** On a subtask's thread. `splits` may be empty. */
  createReader(context: SourceReaderContext, splits: readonly Split<Position>[]): SourceReader<T, Position>;
}

export interface Split<Position> {
  readonly id: string;
  readonly position: Position;
}

export interface SourceReaderContext {
  readonly subtaskIndex: number;
  readonly parallelism: number;
  /** Tells the task that `poll` may now give something other than `Pending`. */
  readonly wake: () => void;
  /** Fails the task; for errors that happen outside `poll`. */
  readonly fail: (error: unknown) => void;
  /** Milliseconds since the epoch. */
  readonly nowMs: () => number;
  /**
   * How far event time has come in a split. A reader that has several splits to choose from takes the lowest, so that none of them holds up the
   * others' windows; the same for all where the source has no watermarks.
   */
  readonly watermarkMs: (splitId: string) => number;
  /** Of the source in this subtask. */
  readonly metrics: MetricGroup;
}

/**
 * Reads some splits. To a job with event time it matters which split a record comes from: each split has a watermark of its own, and one that is
 * far ahead may be paused until the others have come after.
 */
export interface SourceReader<T, Position> {
  /**
   * Up to `countMax` records of one split, without waiting. `Pending`: nothing now, `wake` follows. `End`: nothing ever again, from no split.
   * Positions move past a record when it is returned.
   */
  poll(countMax: number): SplitRecords<T> | 'Pending' | 'End';
  /** All splits of this reader with their positions after what `poll` returned so far. */
  positions(): readonly Split<Position>[];
  /**
   * From now on `poll` gives nothing of these splits, but of all others: replaces what was said before. With all that are left paused it says `Pending`;
   * after a change it is asked again. A reader without this method is not asked at all while the furthest behind of its splits is to be paused,
   * which for a reader of one split is the same.
   */
  pauseSplits?(splitIds: ReadonlySet<string>): void;
  /**
   * Whether a split has something to read that only its turn or a limit of rate holds back: then it is not idle. A reader without this method has
   * given of each split what there was, or says `Pending` when it has not.
   */
  isReadable?(splitId: string): boolean;
  /** How far it is behind, asked once a second: records that are known to wait, as far as that means anything; undefined when it is not known. */
  pendingRecords?(): number | undefined;
  /** The same in bytes. */
  pendingBytes?(): number | undefined;
  close(): Promise<void>;
}

export interface SplitRecords<T> {
  readonly splitId: string;
  /** May be empty. */
  readonly records: readonly T[];
  /** Nothing follows from this split; `End` says it of all that are left. */
  readonly isLast?: boolean;
}
