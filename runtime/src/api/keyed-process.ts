import type { StateImplementation } from '../core/job-graph/executable-job.ts';
import { invalidJob } from '../core/job-graph/invalid-job.ts';
import type { KeyedContext, KeyedProcessFunction } from '../core/job-graph/keyed-process.ts';
import { describeValue } from '../core/types/value-mismatch.ts';
import { type StateDefinitions, type StateHandles, toStateImplementation } from './state.ts';

/** What an author's keyed function can do besides using its state. Valid only during the call. */
export interface KeyedProcessContext<Key, Out> {
  readonly key: Key;
  readonly emit: (record: Out) => void;
  /** Milliseconds since the epoch. */
  readonly processingTimeMs: () => number;
  readonly timers: KeyedTimers;
}

/** Timers of the current key. They are state: checkpointed, restored, and fired late rather than never. */
export interface KeyedTimers {
  /** Calls `timer` at or soon after the given time, in milliseconds since the epoch. The same time twice is one timer. */
  readonly registerProcessingTime: (timestampMs: number) => void;
  readonly deleteProcessingTime: (timestampMs: number) => void;
}

export interface KeyedProcessDefinition<In, Key, Out, S extends StateDefinitions> {
  /** All state that the function uses, by name. */
  readonly state?: S;
  element(record: In, ctx: KeyedProcessContext<Key, Out>, state: StateHandles<S>): void;
  timer?(timestampMs: number, ctx: KeyedProcessContext<Key, Out>, state: StateHandles<S>): void;
}

/** A keyed function with its declared state, for `KeyedStream.process`. */
export class KeyedProcess<In, Key, Out> {
  readonly function: KeyedProcessFunction;
  readonly states: readonly StateImplementation[];
  /** Only for the compiler: which records and keys go in, and what comes out. */
  declare readonly signature: (record: In, key: Key) => Out;

  constructor(process: KeyedProcessFunction, states: readonly StateImplementation[]) {
    this.function = process;
    this.states = states;
  }
}

/**
 * Declares a keyed function. Record, key and output types come from annotations, such as
 * `element(word: string, ctx: KeyedProcessContext<string, Count>, { count })`; without annotations they are `unknown`.
 */
export function keyedProcess<In, Key, Out, S extends StateDefinitions>(
  definition: KeyedProcessDefinition<In, Key, Out, S>,
): KeyedProcess<In, Key, Out> {
  const { element, timer } = definition as Partial<KeyedProcessDefinition<In, Key, Out, S>>;
  if (typeof element !== 'function' || (timer !== undefined && typeof timer !== 'function')) {
    const part = typeof element !== 'function' ? 'element' : 'timer';
    throw invalidJob(
      'FunctionMissing',
      `keyedProcess was given ${describeValue(definition[part])} as its ${part}`,
      `Make ${part} a function: ${part}(${part === 'element' ? 'record' : 'timestampMs'}, ctx, state) { … }.`,
    );
  }
  const states = Object.entries(definition.state ?? {}).map(([name, state]) => toStateImplementation(name, state));
  const contextOf = rememberContexts<Key, Out>();
  // The engine goes by names and unknown values; this is the one place that ties them to the author's types. `call` keeps `this` what
  // the author wrote it to be.
  const process: KeyedProcessFunction = {
    element: (record, context, handles) => element.call(definition, record as In, contextOf(context), handles as StateHandles<S>),
    timer:
      timer === undefined
        ? undefined
        : (timestampMs, context, handles) => timer.call(definition, timestampMs, contextOf(context), handles as StateHandles<S>),
  };
  return new KeyedProcess(process, states);
}

/** One author's context per engine context. Subtasks of one thread share the function, and calls come in runs of one subtask. */
function rememberContexts<Key, Out>(): (context: KeyedContext) => KeyedProcessContext<Key, Out> {
  const contexts = new WeakMap<KeyedContext, KeyedProcessContext<Key, Out>>();
  let last: KeyedContext | undefined;
  let lastContext: KeyedProcessContext<Key, Out> | undefined;
  return (context) => {
    if (lastContext !== undefined && context === last) {
      return lastContext;
    }
    const known = contexts.get(context) ?? toAuthorContext<Key, Out>(context);
    contexts.set(context, known);
    last = context;
    lastContext = known;
    return known;
  };
}

function toAuthorContext<Key, Out>(context: KeyedContext): KeyedProcessContext<Key, Out> {
  return {
    get key() {
      return context.key as Key;
    },
    emit: (record) => context.emit(record),
    processingTimeMs: () => context.processingTimeMs(),
    timers: {
      registerProcessingTime: (timestampMs) => context.registerProcessingTimeTimer(timestampMs),
      deleteProcessingTime: (timestampMs) => context.deleteProcessingTimeTimer(timestampMs),
    },
  };
}
