import { stateSizeBytes } from '../core/checkpoint/assemble-manifest.ts';
import type { KeyedStatePart, OperatorState, StateHandle } from '../core/checkpoint/manifest.ts';
import type { StateDeclaration } from '../core/job-graph/job-graph.ts';
import { storedTypeOf } from '../core/job-graph/stored-type.ts';
import type { KeyGroupRange } from '../core/key-groups/key-group.ts';
import { formatDescriptor } from '../core/types/type-descriptor.ts';
import type { Snapshot } from '../state-reader/open-snapshot.ts';
import type { OperatorSnapshot } from '../state-reader/operator-snapshot.ts';
import { type Json, toJson } from '../state-reader/value-json.ts';
import { formatSize } from './format-size.ts';
import { formatTable } from './format-table.ts';

/** What is in a snapshot without reading its rows: the manifest says it. `state ls -o json` prints it, and it is the first line of an export. */
export function snapshotJson(snapshot: Snapshot): Json {
  const { checkpointId, epoch, kind, jobName, triggeredAtMs, savepoint } = snapshot.manifest;
  return {
    ...{ url: snapshot.url, kind, checkpointId, epoch, jobName, triggeredAtMs },
    ...(savepoint === undefined ? {} : { owner: savepoint.owner, ...(savepoint.reason ? { reason: savepoint.reason } : {}) }),
    stateSizeBytes: stateSizeBytes(snapshot.manifest),
    operators: snapshot.operators.map(operatorJson),
  };
}

function operatorJson(operator: OperatorSnapshot): Json {
  const { uid, name, parallelism, maxParallelism, keyed, broadcast, operatorLists, splits, positionType, committables } =
    operator.state;
  return {
    ...{ uid, name, parallelism, maxParallelism },
    ...(keyed === undefined
      ? {}
      : {
          // Descriptors are plain data.
          keyed: keyed.description as unknown as Json,
          parts: keyed.parts.map(partJson),
          watermarkFloors: (keyed.watermarkFloors ?? []) as unknown as Json,
        }),
    ...(broadcast === undefined
      ? {}
      : { broadcast: broadcast.states as unknown as Json, broadcastSizeBytes: handleSizeBytes(broadcast.handle) }),
    ...(operatorLists === undefined
      ? {}
      : {
          operatorState: operatorLists.states as unknown as Json,
          operatorStateParts: operatorLists.parts.map(({ handle, elementCounts }, subtask) => ({
            ...{ subtask, sizeBytes: handleSizeBytes(handle) },
            elementCounts: elementCounts.map(({ state, count }) => ({ state, count })),
          })),
        }),
    ...(splits === undefined || positionType === undefined
      ? {}
      : {
          positionType: positionType as unknown as Json,
          splits: operator.splits.map(({ splitId, position, maxTimestampMs }) => ({
            ...{ splitId, position: toJson(positionType, position) },
            ...(maxTimestampMs === undefined ? {} : { maxTimestampMs }),
          })),
        }),
    ...(committables === undefined ? {} : { pendingOutput: committables as unknown as Json }),
  };
}

function partJson(part: KeyedStatePart): Json {
  const { first, last } = part.keyGroups;
  return { keyGroups: { first, last }, backend: part.backend, sizeBytes: partSizeBytes(part), files: part.files.length };
}

/** For people. */
export function formatSnapshot(snapshot: Snapshot): string {
  const { checkpointId, epoch, kind, jobName, triggeredAtMs, savepoint } = snapshot.manifest;
  const size = formatSize(stateSizeBytes(snapshot.manifest));
  const lines = [
    snapshot.url,
    `${kind} ${checkpointId} of ${jobName}, epoch ${epoch}, taken ${formatTime(triggeredAtMs)}: ${size} of state.`,
    ...(savepoint === undefined ? [] : [`Owner ${savepoint.owner}${savepoint.reason ? `, because: ${savepoint.reason}` : ''}.`]),
    ...snapshot.operators.flatMap((operator) => ['', ...operatorLines(operator)]),
  ];
  return `${lines.join('\n')}\n`;
}

function operatorLines(operator: OperatorSnapshot): readonly string[] {
  const { uid, name, parallelism, maxParallelism } = operator.state;
  return [
    `${uid}${name === uid ? '' : ` (${name})`}, parallelism ${parallelism} of at most ${maxParallelism}`,
    ...[
      ...keyedLines(operator.state),
      ...broadcastLines(operator.state),
      ...operatorListLines(operator.state),
      ...splitLines(operator),
      ...outputLines(operator),
      ...watermarkLines(operator),
    ].map((line) => `  ${line}`),
  ];
}

function keyedLines({ keyed }: OperatorState): readonly string[] {
  if (keyed === undefined) {
    return [];
  }
  const { keyType, namespaceType, states, timers } = keyed.description;
  const parts = keyed.parts.map((part) => [
    formatRange(part.keyGroups),
    part.backend,
    formatSize(partSizeBytes(part)),
    String(part.files.length),
  ]);
  return [
    `key ${formatDescriptor(keyType)}${namespaceType === undefined ? '' : `, namespace ${formatDescriptor(namespaceType)}`}${timers ? ', timers' : ''}`,
    ...formatTable(['STATE', 'KIND', 'TYPE', 'KEPT BY', 'TIME TO LIVE'], states.map(stateRow)),
    ...formatTable(['KEY GROUPS', 'BACKEND', 'SIZE', 'FILES'], parts),
  ];
}

function stateRow(declaration: StateDeclaration): readonly string[] {
  const { name, stateType, namespaced, ttl } = declaration;
  const stored = formatDescriptor(storedTypeOf(declaration));
  return [
    name,
    stateType,
    stateType === 'map' ? `${formatDescriptor(declaration.mapKeyType)} to ${stored}` : stored,
    namespaced === true ? 'key, namespace' : 'key',
    ttl === undefined ? '' : `${ttl.ttlMs} ms from ${ttl.renewedBy === 'Write' ? 'the last write' : 'the last read or write'}`,
  ];
}

function broadcastLines({ broadcast }: OperatorState): readonly string[] {
  return broadcast === undefined
    ? []
    : [
        `broadcast state, ${formatSize(handleSizeBytes(broadcast.handle))}`,
        ...formatTable(['STATE', 'KIND', 'TYPE', 'KEPT BY', 'TIME TO LIVE'], broadcast.states.map(stateRow)),
      ];
}

function operatorListLines({ operatorLists }: OperatorState): readonly string[] {
  if (operatorLists === undefined) {
    return [];
  }
  const { states, parts } = operatorLists;
  const rows = states.map((declaration) => {
    const counts = parts.map(({ elementCounts }) => elementCounts.find(({ state }) => state === declaration.name)?.count ?? 0);
    return [
      ...[declaration.name, formatDescriptor(storedTypeOf(declaration)), declaration.redistribution ?? ''],
      ...[String(counts.reduce((sum, count) => sum + count, 0)), counts.join(', ')],
    ];
  });
  return [
    `operator state, ${formatSize(parts.reduce((sum, { handle }) => sum + handleSizeBytes(handle), 0))}`,
    ...formatTable(['STATE', 'TYPE', 'REDISTRIBUTION', 'ELEMENTS', 'BY SUBTASK'], rows),
  ];
}

function splitLines({ state, splits }: OperatorSnapshot): readonly string[] {
  const { positionType } = state;
  if (positionType === undefined) {
    return [];
  }
  const rows = splits.map(({ splitId, position, maxTimestampMs }) => [
    splitId,
    JSON.stringify(toJson(positionType, position)),
    maxTimestampMs === undefined ? '' : formatTime(maxTimestampMs),
  ]);
  return rows.length === 0 ? ['no splits'] : formatTable(['SPLIT', 'POSITION', 'LATEST EVENT TIME'], rows);
}

function outputLines({ state, pendingOutput }: OperatorSnapshot): readonly string[] {
  if (state.committables === undefined) {
    return [];
  }
  const checkpoints = [...new Set(pendingOutput.map(({ checkpointId }) => checkpointId))].sort((a, b) => a - b);
  return [
    pendingOutput.length === 0
      ? 'no pending output'
      : `${pendingOutput.length} pieces of output that wait for their commit, of checkpoint ${checkpoints.join(', ')}`,
  ];
}

function watermarkLines({ watermarkFloors }: OperatorSnapshot): readonly string[] {
  const rows = watermarkFloors.map(({ keyGroups, watermarkMs }) => [formatRange(keyGroups), formatTime(watermarkMs)]);
  return rows.length === 0 ? [] : formatTable(['KEY GROUPS', 'WATERMARK'], rows);
}

function partSizeBytes({ handle, files }: KeyedStatePart): number {
  return files.reduce((sum, file) => sum + handleSizeBytes(file.handle), handleSizeBytes(handle));
}

function handleSizeBytes(handle: StateHandle): number {
  return handle.type === 'file' ? handle.sizeBytes : Buffer.byteLength(handle.base64, 'base64');
}

function formatRange({ first, last }: KeyGroupRange): string {
  return first === last ? String(first) : `${first}-${last}`;
}

/** The ends of event time are no dates. */
function formatTime(ms: number): string {
  return Math.abs(ms) < 8.64e15 ? new Date(ms).toISOString().replace('T', ' ').replace('Z', '') : String(ms);
}
