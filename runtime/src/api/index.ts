// What job authors import as '@flinkjob/runtime'.
export { type DatagenRecord, datagen } from '../connectors/datagen/datagen.ts';
export { fileLines } from '../connectors/file-lines/file-lines.ts';
export { fileSink } from '../connectors/file-sink/file-sink.ts';
export { print } from '../connectors/print/print.ts';
export { socketLines } from '../connectors/socket-lines/socket-lines.ts';
export type { Counter, FunctionContext, Gauge, Histogram, MetricGroup } from '../core/job-graph/metric-group.ts';
export type { CommittableData, Sink, SinkWriter, SinkWriterContext } from '../core/job-graph/sink.ts';
export type { Source, SourceReader, SourceReaderContext, Split, SplitRecords } from '../core/job-graph/source.ts';
export type { TimeDomain } from '../core/time/event-time.ts';
export { type Infer, t } from '../core/types/t.ts';
export type { Type } from '../core/types/type.ts';
export type { TimeWindow } from '../core/windows/time-window.ts';
export type { BroadcastProcessDefinition, KeyedBroadcastProcessDefinition, ReadonlyMapState } from './broadcast-process.ts';
export type {
  BroadcastConnectedStreams,
  BroadcastStream,
  ConnectedKeyedStreams,
  ConnectedStreams,
  KeyedBroadcastConnectedStreams,
} from './connected-streams.ts';
export type { DataStream, StreamExecutionEnvironment } from './data-stream.ts';
export { defineJob, type JobContext, type JobDefinition } from './define-job.ts';
export type { Duration } from './duration.ts';
export { type KeyedCoProcess, type KeyedProcess, keyedCoProcess, keyedProcess } from './keyed-process.ts';
export type { KeyedStream } from './keyed-stream.ts';
export { type FunctionInitializationContext, operatorState } from './operator-state.ts';
export type { KeyedProcessContext, KeyedTimerContext, KeyedTimers, ProcessContext } from './process-context.ts';
export {
  type AggregateFunction,
  type AggregatingState,
  type ListState,
  type MapState,
  type ReducingState,
  state,
  type ValueState,
} from './state.ts';
export type { StateOptions, TimeToLive } from './state-ttl.ts';
export type { SourceOptions } from './stream-options.ts';
export { type BoundedOutOfOrderness, type Watermarks, watermarks } from './watermarks.ts';
export type { WindowContext } from './window-context.ts';
export type { ProcessWindow, WindowAggregateFunction, WindowedStream } from './windowed-stream.ts';
export { type RegularWindowOptions, type WindowOptions, type Windows, windows } from './windows.ts';
