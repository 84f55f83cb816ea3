import type { Type } from '../types/type.ts';

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
}

export interface SourceReader<T, Position> {
  /**
   * Up to `countMax` records, without waiting. `Pending`: nothing now, `wake` follows. `End`: nothing ever again. Positions move past a
   * record when it is returned.
   */
  poll(countMax: number): readonly T[] | 'Pending' | 'End';
  /** All splits of this reader with their positions after what `poll` returned so far. */
  positions(): readonly Split<Position>[];
  close(): Promise<void>;
}
