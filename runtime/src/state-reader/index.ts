// What others import as '@flinkjob/runtime/state-reader': reading snapshots from TypeScript, and writing them.
export type { EntryToWrite, StateEntryToWrite, TimerEntryToWrite } from './entry-encoder.ts';
export { describeKeyedState, readState, type TypedEntry } from './keyed-state-types.ts';
export { type OpenSnapshotOptions, openSnapshot, type Snapshot } from './open-snapshot.ts';
export type {
  BroadcastSnapshotEntry,
  EntrySelection,
  ListElementSnapshot,
  OperatorSnapshot,
  SplitSnapshot,
} from './operator-snapshot.ts';
export type { SnapshotEntry, StateEntry, TimerEntry } from './snapshot-entry.ts';
export {
  type KeyedStateToWrite,
  type OperatorToWrite,
  type SnapshotToWrite,
  type SourceToWrite,
  type WrittenSnapshot,
  writeSnapshot,
} from './write-snapshot.ts';
