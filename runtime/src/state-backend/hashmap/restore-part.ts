import { JobError } from '../../core/job-error.ts';
import type { StateDeclaration } from '../../core/job-graph/job-graph.ts';
import { keyGroupHash } from '../../core/key-groups/key-group.ts';
import { BinaryReader } from '../../core/types/binary-reader.ts';
import type { TypeDescriptor } from '../../core/types/type.ts';
import { descriptorsEqual, formatDescriptor } from '../../core/types/type-descriptor.ts';
import type { KeyedStateBackendOptions } from '../state-backend.ts';
import { openStatePart, type StatePartHeader } from './state-part.ts';

/** Adds one entry of a section to the table that it belongs to. */
export type ReadEntry = (group: number, reader: BinaryReader) => void;

export interface RestoreTarget {
  /** Undefined: the operator has none. */
  readonly timers: ReadEntry | undefined;
  /** By state name; what is missing is passed over. */
  readonly states: ReadonlyMap<string, ReadEntry>;
}

/** Reads the entries of the target's own key groups; nothing is added before the whole part was found good and fitting. */
export function restorePart(part: Uint8Array, options: KeyedStateBackendOptions, target: RestoreTarget): void {
  const { header, blocks } = openStatePart(part);
  checkFits(header, options);
  const readers = header.states.map(({ name }) => target.states.get(name));
  const { first, last } = options.keyGroups;
  for (const { keyGroup, offset, length } of blocks) {
    if (keyGroup < first || keyGroup > last) {
      continue;
    }
    const reader = new BinaryReader(part, offset, offset + length);
    while (reader.remaining > 0) {
      const sectionId = reader.readVarint();
      const end = reader.readVarint() + reader.position;
      if (sectionId > readers.length) {
        throw reader.corrupt(`section ${sectionId} of key group ${keyGroup} belongs to no state of the header, read up to`);
      }
      const readEntry = sectionId === 0 ? target.timers : readers[sectionId - 1];
      if (readEntry === undefined) {
        // Dropped, with the planner's knowledge.
        reader.skip(end - reader.position);
        continue;
      }
      const count = reader.readVarint();
      for (let index = 0; index < count; index++) {
        readEntry(keyGroup - first, reader);
      }
      if (reader.position !== end) {
        throw reader.corrupt(`a section ${sectionId} of key group ${keyGroup} is not what its length says, read up to`);
      }
    }
  }
}

/** The planner has looked at the manifest before; this looks at what the bytes themselves say. */
function checkFits(header: StatePartHeader, options: KeyedStateBackendOptions): void {
  if (header.keyGroupHash !== keyGroupHash) {
    throw unfit('KeyGroupHashUnknown', `keys were assigned to key groups by ${header.keyGroupHash}, not by ${keyGroupHash}`);
  }
  if (header.maxParallelism !== options.maxParallelism) {
    throw unfit(
      'MaxParallelismChanged',
      `was written with maxParallelism ${header.maxParallelism}, not ${options.maxParallelism}`,
    );
  }
  checkSame('the key', header.keyType, options.keyType.descriptor);
  const declared = new Map(options.states.map(({ declaration }) => [declaration.name, declaration]));
  for (const written of header.states) {
    const now = declared.get(written.name);
    if (now !== undefined) {
      checkSameState(written, now);
    }
  }
}

function checkSameState(written: StateDeclaration, now: StateDeclaration): void {
  const name = `the state "${written.name}"`;
  if (written.stateType === 'value' && now.stateType === 'value') {
    checkSame(name, written.valueType, now.valueType);
  } else if (written.stateType === 'list' && now.stateType === 'list') {
    checkSame(name, written.elementType, now.elementType);
  } else if (written.stateType === 'map' && now.stateType === 'map') {
    checkSame(`the keys of ${name}`, written.mapKeyType, now.mapKeyType);
    checkSame(name, written.valueType, now.valueType);
  } else {
    throw unfit(
      'StateTypeChanged',
      `has ${name} as a ${written.stateType} state, and it is declared as a ${now.stateType} state`,
    );
  }
}

function checkSame(what: string, written: TypeDescriptor, now: TypeDescriptor): void {
  if (!descriptorsEqual(written, now)) {
    throw unfit(
      'StateTypeChanged',
      `has ${what} as ${formatDescriptor(written)}, and it is declared as ${formatDescriptor(now)}`,
    );
  }
}

function unfit(code: string, what: string): JobError {
  return new JobError(`the keyed state to be restored ${what}`, {
    domain: 'user',
    retry: 'never',
    code,
    remedy: 'Restore with the declarations that the state was written with, or give the operator a new uid to start it empty.',
  });
}
