import { createHash } from 'node:crypto';
import type { CheckpointManifest, KeyedStatePart } from '../../src/core/checkpoint/manifest.ts';
import { counterUid, decodePosition, keyOfRecord, sourceUid, splitIds } from './model-job.ts';
import { decodeDescription, decodeRows, firedCountAfter, isInRange, type Row, rowAfter, timerKeyOf } from './model-rows.ts';

export interface ModelState {
  /** Objects that the checkpoint names, without its manifest. */
  readonly names: readonly string[];
  /** What has been counted of each key, and of its timers. */
  readonly counts: ReadonlyMap<string, number>;
  readonly problems: readonly string[];
}

type Read = (path: string) => Uint8Array | undefined;

/**
 * Reads a checkpoint of the model job with nothing but its manifest and what lies in storage, and compares it with what a run without faults has where the
 * sources are: state and positions of one checkpoint belong to one moment.
 */
export function readModelState(manifest: CheckpointManifest, read: Read): ModelState {
  const parts = manifest.operators.find(({ uid }) => uid === counterUid)?.keyed?.parts ?? [];
  const handles = parts.flatMap(({ files }) => files.map(({ handle }) => handle));
  const names = handles.flatMap((handle) => (handle.type === 'file' ? [handle.path] : []));
  const problems: string[] = [];
  const rows = new Map(parts.flatMap((part) => [...readPart(part, read, problems)]));
  problems.push(...(problems.length === 0 ? compare(rows, expectedAt(manifest)) : []));
  const counts = new Map([...rows].flatMap(([key, row]) => countsOf(key, row)));
  return { names: [...new Set(names)], counts, problems };
}

/** What has been counted when of each split so many records were read; nothing else decides it. */
export function expectedCounts(positionOf: (splitId: string) => number): ReadonlyMap<string, number> {
  return new Map([...expectedRows(positionOf)].flatMap(([key, row]) => countsOf(key, row)));
}

function readPart({ keyGroups, ...part }: KeyedStatePart, read: Read, problems: string[]): ReadonlyMap<string, Row> {
  const rows = new Map<string, Row>();
  for (const name of decodeDescription({ keyGroups, ...part }).files) {
    const handle = part.files.find((file) => file.name === name)?.handle;
    const bytes = handle?.type === 'file' ? read(handle.path) : undefined;
    if (handle?.type !== 'file' || bytes === undefined) {
      problems.push(`its file ${name} is missing`);
    } else if (bytes.byteLength !== handle.sizeBytes || createHash('sha256').update(bytes).digest('hex') !== handle.sha256) {
      problems.push(`its file ${handle.path} has other content than it says`);
    } else {
      for (const [key, row] of decodeRows(bytes).filter(([key]) => isInRange(key, keyGroups))) {
        rows.set(key, row);
      }
    }
  }
  return rows;
}

function expectedAt(manifest: CheckpointManifest): ReadonlyMap<string, Row> {
  const splits = manifest.operators.find(({ uid }) => uid === sourceUid)?.splits ?? [];
  const positions = new Map(splits.map(({ splitId, positionBase64 }) => [splitId, decodePosition(positionBase64)]));
  return expectedRows((splitId) => positions.get(splitId) ?? 0);
}

function expectedRows(positionOf: (splitId: string) => number): ReadonlyMap<string, Row> {
  const counts = new Map<string, number>();
  for (const splitId of splitIds) {
    for (let position = 0; position < positionOf(splitId); position += 1) {
      const key = keyOfRecord(splitId, position);
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
  }
  return new Map([...counts].map(([key, count]) => [key, rowAfter(count)]));
}

function compare(rows: ReadonlyMap<string, Row>, expected: ReadonlyMap<string, Row>): readonly string[] {
  return [...new Set([...rows.keys(), ...expected.keys()])].flatMap((key) => {
    const [found, wanted] = [rows.get(key), expected.get(key)].map((row) => describe(row));
    return found === wanted ? [] : [`its state of ${key} is ${found}, and where its sources are it should be ${wanted}`];
  });
}

function describe(row: Row | undefined): string {
  return row === undefined ? 'nothing' : `${row.count} with timers [${row.timers.join(', ')}]`;
}

function countsOf(key: string, row: Row): readonly (readonly [string, number])[] {
  return [
    [key, row.count],
    [timerKeyOf(key), firedCountAfter(row)],
  ];
}
