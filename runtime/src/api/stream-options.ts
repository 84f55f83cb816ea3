import { invalidJob } from '../core/job-graph/invalid-job.ts';
import type { WatermarkStrategy } from '../core/time/watermark-strategy.ts';
import type { Type } from '../core/types/type.ts';
import { describeValue } from '../core/types/value-mismatch.ts';
import { checkType } from './state.ts';

/** Of sources, sinks and operators with state. */
export interface StatefulOptions {
  /** Names the operator's state for the life of the job: letters, digits, `.`, `_`, `-`; unique in the job. */
  readonly uid: string;
  /** Instead of the job's. */
  readonly parallelism?: number;
}

/** Of operators without state. */
export interface StatelessOptions {
  readonly uid?: string;
  readonly parallelism?: number;
}

export interface RecordTypeOption<Out> {
  /** How results are written when they leave the process or thread. Without it they are written as `t.any`: larger, slower. */
  readonly type?: Type<Out>;
}

/** How records get event times, and how far behind they may come: what `watermarks` makes. */
export interface Watermarks<T> {
  readonly strategy: WatermarkStrategy;
  /** Only for the compiler: of which records. */
  readonly recordOf: ((record: T) => void) | undefined;
}

export interface SourceOptions<T> extends StatefulOptions {
  /** Event time by split of the source. Without it records have none, unless `assignTimestampsAndWatermarks` gives them one. */
  readonly watermarks?: Watermarks<T>;
}

/** JavaScript authors have no compiler that asks for it. */
export function checkWatermarks(given: Watermarks<never> | undefined, where: string): WatermarkStrategy {
  const strategy: Partial<WatermarkStrategy> | undefined = given?.strategy;
  if (typeof strategy?.timestampMs !== 'function') {
    throw invalidJob(
      'WatermarksMissing',
      `${where} was given ${describeValue(given)} where watermarks are needed`,
      'Pass what watermarks makes of the function that gives a record its event time.',
    );
  }
  return strategy as WatermarkStrategy;
}

export function optionalType<T>(type: Type<T> | undefined, method: string): Type<T> | undefined {
  return type === undefined ? undefined : checkType(type, `the type of ${method}`);
}
