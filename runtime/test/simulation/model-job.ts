import type { JobGraph } from '../../src/core/job-graph/job-graph.ts';
import { keyGroupOf } from '../../src/core/key-groups/key-group.ts';
import { BinaryWriter } from '../../src/core/types/binary-writer.ts';
import { t } from '../../src/core/types/t.ts';

/**
 * The job that is simulated: two splits of numbered records → count per key → transactional sink. Small, and every fault shows: a record
 * lost or read twice makes a key's counts skip or repeat.
 */
export const sourceUid = 'numbers';
export const counterUid = 'counts';
export const sinkUid = 'out';
export const maxParallelism = 128;
export const splitIds = ['split-0', 'split-1'] as const;

const keyCount = 5;
const keys = Array.from({ length: keyCount }, (_, index) => `key-${index}`);
const keyGroups = new Map(keys.map((key) => [key, keyGroupOf(keyBytes(key), maxParallelism)]));

function keyBytes(key: string): Uint8Array {
  const writer = new BinaryWriter();
  t.string.encodeKey(key, writer);
  return writer.toBytes();
}

/** Of one split: its records have numbers from 0, the same at every reading. */
export function keyOfRecord(splitId: string, position: number): string {
  return keys[(position * 7 + (splitId === 'split-0' ? 0 : 3)) % keyCount] ?? '';
}

export function keyGroupOfKey(key: string): number {
  return keyGroups.get(key) ?? 0;
}

/** What a run without faults has counted when all input is read. */
export function finalCounts(recordsPerSplit: number): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const splitId of splitIds) {
    for (let position = 0; position < recordsPerSplit; position += 1) {
      const key = keyOfRecord(splitId, position);
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
  }
  return counts;
}

export function encodePosition(position: number): string {
  return Buffer.from(String(position)).toString('base64');
}

export function decodePosition(base64: string): number {
  return Number(Buffer.from(base64, 'base64').toString());
}

export function encodeCounts(counts: readonly (readonly [string, number])[]): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(counts));
}

export function decodeCounts(bytes: Uint8Array): readonly (readonly [string, number])[] {
  return JSON.parse(new TextDecoder().decode(bytes)) as readonly (readonly [string, number])[];
}

export function modelJobGraph(parallelism: number): JobGraph {
  const shared = { parallelism, maxParallelism };
  const nothing = { keyed: undefined, source: undefined, sink: undefined };
  return {
    name: 'simulated',
    parallelism,
    maxParallelism,
    vertices: [
      {
        ...shared,
        id: sourceUid,
        name: 'numbers',
        operators: [
          {
            ...nothing,
            id: sourceUid,
            uid: sourceUid,
            type: 'source',
            name: 'numbers',
            source: { bounded: true, replayable: true, positionType: { type: 'int' } },
          },
        ],
      },
      {
        ...shared,
        id: counterUid,
        name: 'counts -> out',
        operators: [
          {
            ...nothing,
            id: counterUid,
            uid: counterUid,
            type: 'keyedProcess',
            name: 'counts',
            keyed: {
              keyType: { type: 'string' },
              states: [{ name: 'count', stateType: 'value', valueType: { type: 'int' } }],
              timers: false,
            },
          },
          { ...nothing, id: sinkUid, uid: sinkUid, type: 'sink', name: 'out', sink: { guarantee: 'ExactlyOnce' } },
        ],
      },
    ],
    edges: [
      {
        id: `${sourceUid}->${counterUid}`,
        from: sourceUid,
        to: counterUid,
        fromOperator: sourceUid,
        inputOrdinal: 0,
        partitioning: 'Hash',
        recordType: { type: 'any' },
      },
    ],
  };
}
