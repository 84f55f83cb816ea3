import { join } from 'node:path';
import type { KeyGroupRange } from '../../core/key-groups/key-group.ts';
import type { KeyedStateBackendOptions, RestoredPart } from '../state-backend.ts';
import { copyPart, removeStates } from './copy-part.ts';
import { importParts } from './import-parts.ts';
import { keptInPlace } from './kept-files.ts';
import { afterAllKeys, columnFamiliesWithRows, keyGroupBounds, timersColumnFamily } from './key-layout.ts';
import type { NativeDatabase } from './native-binding.ts';
import { toStateError } from './native-errors.ts';
import { type CheckedPart, cannotRestore, checkPart, type DatabasePlace, openDatabaseAt, openPartAt } from './part-files.ts';
import { type RestoredRowsTarget, restoreCanonicalPart } from './restore-rows.ts';
import { rewriteValues } from './rewrite-values.ts';
import { assignStateIds, haveSameStateIds, type StateIds } from './state-ids.ts';
import { assignForms, checkSameForms, type StateForms } from './value-forms.ts';

/** How the rows came: by whole files, by files of which those that reached outside of their part were written anew first, or one by one. */
type RestoredAs = 'Nothing' | 'Files' | 'RewrittenFiles' | 'Rows';

/** A database with what a backend goes on from. */
export interface OpenedDatabase {
  readonly database: NativeDatabase;
  readonly stateIds: StateIds;
  readonly forms: StateForms;
  readonly nextListSequence: number;
  readonly hasTimers: boolean;
  readonly restoredAs: RestoredAs;
  /** Of files that are in checkpoint storage as they are. */
  readonly sha256ByFile: Map<string, string>;
}

/** Opens the database of a backend: an empty one, or what its parts hold of its key groups. */
export async function openDatabase(
  place: DatabasePlace,
  options: KeyedStateBackendOptions,
  restored: readonly RestoredPart[],
): Promise<OpenedDatabase> {
  const touching = restored.filter(({ keyGroups }) => overlapOf(keyGroups, options.keyGroups) > 0);
  const canonical = touching.filter(({ backend }) => backend === 'Canonical');
  const parts = touching
    .filter(({ backend }) => backend !== 'Canonical')
    .map((part) => checkPart(part, options))
    .sort((a, b) => overlapOf(b.restored.keyGroups, options.keyGroups) - overlapOf(a.restored.keyGroups, options.keyGroups));
  const [largest] = parts;
  const stateIds = assignStateIds(options.states, largest?.part);
  const forms = assignForms(options.states, largest?.part);
  if (largest === undefined) {
    const database = await openDatabaseAt(place, join(place.directory, databaseName), { createIfMissing: true });
    const nextListSequence = await restoreRows(database, canonical, { options, stateIds, forms, nextListSequence: 0 });
    const hasTimers = options.timers && canonical.length > 0;
    return {
      database,
      stateIds,
      forms,
      nextListSequence,
      hasTimers,
      restoredAs: canonical.length > 0 ? 'Rows' : 'Nothing',
      sha256ByFile: new Map(),
    };
  }
  checkSameForms(parts.map(({ part }) => part));
  const { database, restoredAs } = await openFromParts(place, { options, stateIds, forms, largest, parts });
  const nextListSequence = Math.max(...parts.map(({ part }) => part.nextListSequence));
  return {
    database,
    stateIds,
    forms,
    nextListSequence: await restoreRows(database, canonical, { options, stateIds, forms, nextListSequence }),
    hasTimers: options.timers,
    restoredAs,
    // Files that are brought together get other names.
    sha256ByFile: parts.length === 1 ? knownFiles(largest) : new Map(),
  };
}

/** Of parts that no backend's files are; gives the next sequence number of elements. */
async function restoreRows(
  database: NativeDatabase,
  canonical: readonly RestoredPart[],
  to: RestoredRowsTarget,
): Promise<number> {
  let { nextListSequence } = to;
  try {
    for (const part of canonical) {
      nextListSequence = await restoreCanonicalPart(database, part, { ...to, nextListSequence });
    }
    return nextListSequence;
  } catch (error) {
    await database.close();
    throw toStateError(error, cannotRestore);
  }
}

interface PartsToOpen {
  readonly options: KeyedStateBackendOptions;
  readonly stateIds: StateIds;
  readonly forms: StateForms;
  readonly largest: CheckedPart;
  /** The largest first. */
  readonly parts: readonly CheckedPart[];
}

interface OpenedParts {
  readonly database: NativeDatabase;
  readonly restoredAs: RestoredAs;
}

async function openFromParts(place: DatabasePlace, all: PartsToOpen): Promise<OpenedParts> {
  const { options, stateIds, forms, parts } = all;
  const opened = (await openAsFiles(place, all)) ?? { database: await openAndCopy(place, all), restoredAs: 'Rows' };
  const { database } = opened;
  try {
    await removeOutside(database, parts, options.keyGroups);
    if (stateIds.dropped.size !== 0) {
      await removeStates(database, stateIds.dropped, options);
    }
    await rewriteValues(database, options, { rewrites: forms.rewrites, stateIds });
    if (!options.timers) {
      await database.deleteRange(timersColumnFamily, ...rangeOf(options.keyGroups), { files: true });
    }
    return opened;
  } catch (error) {
    await database.close();
    throw toStateError(error, cannotRestore);
  }
}

/** A single part in place, or several as one; undefined where they have given their states different numbers. */
async function openAsFiles(place: DatabasePlace, { options, largest, parts }: PartsToOpen): Promise<OpenedParts | undefined> {
  const path = join(place.directory, databaseName);
  if (parts.length === 1) {
    const database = await openPartAt(place, path, largest);
    keptInPlace(options.storedFiles, largest);
    return { database, restoredAs: 'Files' };
  }
  if (!parts.every(({ part }) => haveSameStateIds(part, largest.part))) {
    return undefined;
  }
  const { database, areRewritten } = await importParts(place, path, parts, options.storedFiles);
  return { database, restoredAs: areRewritten ? 'RewrittenFiles' : 'Files' };
}

/** The largest part in place; the rows of the others are copied. */
async function openAndCopy(place: DatabasePlace, { options, stateIds, largest, parts }: PartsToOpen): Promise<NativeDatabase> {
  const database = await openPartAt(place, join(place.directory, databaseName), largest);
  keptInPlace(options.storedFiles, largest);
  try {
    for (const [index, other] of parts.slice(1).entries()) {
      await copyPart(place, join(place.directory, `part-${index}`), other, { database, stateIds, options });
    }
    return database;
  } catch (error) {
    await database.close();
    throw toStateError(error, cannotRestore);
  }
}

/**
 * Drops what the parts have of key groups that are not ours: whole files at once, of others the rows, by one range. Compaction takes them out
 * when it comes by; a clip would write nearly every file anew before the first record.
 */
async function removeOutside(database: NativeDatabase, parts: readonly CheckedPart[], ours: KeyGroupRange): Promise<void> {
  const [start, end] = rangeOf(ours);
  for (const columnFamily of columnFamiliesWithRows) {
    if (parts.some(({ restored }) => restored.keyGroups.first < ours.first)) {
      await database.deleteRange(columnFamily, new Uint8Array(0), start, { files: true });
    }
    if (parts.some(({ restored }) => restored.keyGroups.last > ours.last)) {
      await database.deleteRange(columnFamily, end, afterAllKeys, { files: true });
    }
  }
}

function rangeOf(keyGroups: KeyGroupRange): readonly [Uint8Array, Uint8Array] {
  const { start, end } = keyGroupBounds(keyGroups);
  return [start, end];
}

/** How many key groups two ranges have in common. */
function overlapOf(a: KeyGroupRange, b: KeyGroupRange): number {
  return Math.max(0, Math.min(a.last, b.last) - Math.max(a.first, b.first) + 1);
}

function knownFiles({ part }: CheckedPart): Map<string, string> {
  return new Map(
    part.files.flatMap(({ name, sha256 }) => (sha256 !== undefined && name.endsWith('.sst') ? [[name, sha256]] : [])),
  );
}

/** In a backend's directory. */
export const databaseName = 'db';
