import type { StateImplementation } from '../job-graph/executable-job.ts';
import type { KeyedContext, KeyedProcessFunction } from '../job-graph/keyed-process.ts';
import type { TimeWindow } from './time-window.ts';
import type { WindowAssigner } from './window-assigner.ts';
import type { WindowContentsDefinition } from './window-contents.ts';

/** A window operator as its author declared it. */
export interface WindowDefinition {
  readonly assigner: WindowAssigner;
  /** How long after it was complete a window takes records that came late, and fires again for each. By the clock nothing comes late. */
  readonly allowedLatenessMs: number;
  /** Where records go that no window takes any more; undefined: they are dropped and counted. */
  readonly lateOutputTag: string | undefined;
  readonly contents: WindowContentsDefinition;
  /** Called when a window fires, with what its contents give. */
  readonly emit: (context: KeyedContext, window: TimeWindow, result: unknown) => void;
}

/** What the definition becomes: a keyed function and its state. Its namespace type is `timeWindowType`. */
export interface WindowOperator {
  readonly function: KeyedProcessFunction;
  readonly states: readonly StateImplementation[];
}
