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

const hotKeys = Array.from({ length: 5 }, (_, index) => `key-${index}`);
/** So seldom that what was restored of them stays as it was for a while: nothing newer hides that it is wrong. */
const coldKeys = Array.from({ length: 7 }, (_, index) => `cold-${index}`);
const coldInterval = 9;
const keys = [...hotKeys, ...coldKeys];
const keyGroups = new Map(keys.map((key) => [key, keyGroupOf(keyBytes(key), maxParallelism)]));

function keyBytes(key: string): Uint8Array {
  const writer = new BinaryWriter();
  t.string.encodeKey(key, writer);
  return writer.toBytes();
}

/** Of one split: its records have numbers from 0, the same at every reading. */
export function keyOfRecord(splitId: string, position: number): string {
  const shift = splitId === 'split-0' ? 0 : 3;
  const isCold = position % coldInterval === coldInterval - 1;
  const among = isCold ? coldKeys : hotKeys;
  const index = isCold ? (position - coldInterval + 1) / coldInterval : position * 7;
  return among[(index + shift) % among.length] ?? '';
}

export function keyGroupOfKey(key: string): number {
  return keyGroups.get(key) ?? 0;
}

export function encodePosition(position: number): string {
  return Buffer.from(String(position)).toString('base64');
}

export function decodePosition(base64: string): number {
  return Number(Buffer.from(base64, 'base64').toString());
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
              timers: true,
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
