import { JobError } from '../core/job-error.ts';
import type { StateDeclaration } from '../core/job-graph/job-graph.ts';
import { storedTypeOf } from '../core/job-graph/stored-type.ts';
import { keyGroupHash } from '../core/key-groups/key-group.ts';
import { compareTypes } from '../core/types/compare-types.ts';
import { type WrittenValues, writtenValues } from '../core/types/convert-value.ts';
import type { TypeDescriptor } from '../core/types/type.ts';
import { descriptorsEqual, formatDescriptor } from '../core/types/type-descriptor.ts';
import type { KeyedStateBackendOptions } from './state-backend.ts';

/** What the entries of a written part are; every backend puts it into its part, so that the bytes themselves say what they mean. */
export interface WrittenDeclarations {
  readonly keyGroupHash: string;
  readonly maxParallelism: number;
  readonly keyType: TypeDescriptor;
  /** Undefined: nothing was kept by namespace. */
  readonly namespaceType?: TypeDescriptor | undefined;
  /** Those of a state's entries are found by its place here. */
  readonly states: readonly StateDeclaration[];
}

export function declarationsToWrite(options: KeyedStateBackendOptions): WrittenDeclarations {
  const { maxParallelism, keyType, namespaceType, states } = options;
  return {
    keyGroupHash,
    maxParallelism,
    keyType: keyType.descriptor,
    ...(namespaceType === undefined ? {} : { namespaceType: namespaceType.descriptor }),
    states: states.map(({ declaration }) => declaration),
  };
}

/**
 * The planner has looked at the manifest before; this looks at what the part itself says. Throws when entries of a state that is still
 * declared would mean something else now. How long entries live may change: those that are there keep the time that they were given.
 */
export function checkDeclarations(written: WrittenDeclarations, options: KeyedStateBackendOptions): void {
  if (written.keyGroupHash !== keyGroupHash) {
    throw unfit('KeyGroupHashUnknown', `had its keys assigned to key groups by ${written.keyGroupHash}, not by ${keyGroupHash}`);
  }
  if (written.maxParallelism !== options.maxParallelism) {
    throw unfit(
      'MaxParallelismChanged',
      `was written with maxParallelism ${written.maxParallelism}, not ${options.maxParallelism}`,
    );
  }
  checkSame('the key', written.keyType, options.keyType.descriptor);
  checkSame('the namespace', written.namespaceType, options.namespaceType?.descriptor);
  const declared = new Map(options.states.map(({ declaration }) => [declaration.name, declaration]));
  for (const state of written.states) {
    const now = declared.get(state.name);
    if (now !== undefined) {
      checkState(state, now);
    }
  }
}

/** Of each written state, how its values are read; undefined where the type of now reads them, or where the state is gone. */
export function writtenValuesByState(
  written: WrittenDeclarations,
  options: KeyedStateBackendOptions,
): readonly (WrittenValues | undefined)[] {
  const declared = new Map(options.states.map(({ declaration }) => [declaration.name, declaration]));
  return written.states.map((state) => {
    const now = declared.get(state.name);
    return now === undefined ? undefined : writtenValues(storedTypeOf(state), storedTypeOf(now));
  });
}

function checkState(written: StateDeclaration, now: StateDeclaration): void {
  const name = `the state "${written.name}"`;
  if (written.stateType !== now.stateType) {
    throw changed(name, `a ${written.stateType} state`, `a ${now.stateType} state`);
  }
  if ((written.namespaced ?? false) !== (now.namespaced ?? false)) {
    throw changed(name, formatScope(written), formatScope(now));
  }
  if ((written.ttl === undefined) !== (now.ttl === undefined)) {
    throw changed(name, formatTtl(written), formatTtl(now));
  }
  if (written.stateType === 'map' && now.stateType === 'map') {
    checkSame(`the keys of ${name}`, written.mapKeyType, now.mapKeyType);
  }
  const [problem] = compareTypes(storedTypeOf(written), storedTypeOf(now)).problems;
  if (problem !== undefined) {
    const { path, message, remedy } = problem;
    throw unfit(
      'StateTypeChanged',
      `has ${name}, and ${path === '' ? 'its value' : `the field ${path} of it`} ${message}`,
      remedy,
    );
  }
}

function checkSame(what: string, written: TypeDescriptor | undefined, now: TypeDescriptor | undefined): void {
  if (written === undefined || now === undefined ? written !== now : !descriptorsEqual(written, now)) {
    const format = (type: TypeDescriptor | undefined): string => (type === undefined ? 'nothing' : formatDescriptor(type));
    throw changed(what, format(written), format(now));
  }
}

function formatScope({ namespaced }: StateDeclaration): string {
  return namespaced === true ? 'a state by namespace' : 'a state by key alone';
}

function formatTtl({ ttl }: StateDeclaration): string {
  return ttl === undefined ? 'a state without a time to live' : 'a state with a time to live';
}

function changed(what: string, written: string, now: string): JobError {
  return unfit('StateTypeChanged', `has ${what} as ${written}, and it is declared as ${now}`);
}

function unfit(
  code: string,
  what: string,
  remedy = 'Restore with the declarations that the state was written with, or give the operator a new uid to start it empty.',
): JobError {
  return new JobError(`the keyed state to be restored ${what}`, { domain: 'user', retry: 'never', code, remedy });
}
