import type { Type } from '../core/types/type.ts';
import { checkType } from './state.ts';
import type { Watermarks } from './watermarks.ts';

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

export interface SourceOptions<T> extends StatefulOptions {
  /** Event time by split of the source. Without it records have none, unless `assignTimestampsAndWatermarks` gives them one. */
  readonly watermarks?: Watermarks<T>;
}

export function optionalType<T>(type: Type<T> | undefined, method: string): Type<T> | undefined {
  return type === undefined ? undefined : checkType(type, `the type of ${method}`);
}
