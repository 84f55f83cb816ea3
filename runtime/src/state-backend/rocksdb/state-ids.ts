import { JobError } from '../../core/job-error.ts';
import type { StateImplementation } from '../../core/job-graph/executable-job.ts';
import { stateIdMax, stateIdMin } from './key-layout.ts';
import type { StatePart } from './state-part.ts';

/**
 * The numbers that stand for states in rows. A name keeps its number as long as its operator has the state; a number is never given to
 * another name. All subtasks come to the same numbers, because they begin with the same declarations or with parts of one checkpoint.
 */
export interface StateIds {
  readonly byName: ReadonlyMap<string, number>;
  readonly nextStateId: number;
  /** Of states that the parts have and the operator no longer does. */
  readonly dropped: ReadonlySet<number>;
}

/** `base` is the part whose numbers stay; a restore renumbers the rows of others where they differ. */
export function assignStateIds(states: readonly StateImplementation[], base: StatePart | undefined): StateIds {
  const written = new Map(base?.declarations.states.map(({ name }, index) => [name, base.stateIds[index] as number]));
  let nextStateId = base?.nextStateId ?? stateIdMin;
  const byName = new Map<string, number>();
  for (const { declaration } of states) {
    byName.set(declaration.name, written.get(declaration.name) ?? nextStateId++);
  }
  if (nextStateId > stateIdMax + 1) {
    throw new JobError(
      `the operator has had ${nextStateId - stateIdMin} states in its life, and rows have room for ${stateIdMax}`,
      {
        domain: 'user',
        retry: 'never',
        code: 'StateIdsExhausted',
        remedy: 'Give the operator a new uid, which starts it empty.',
      },
    );
  }
  const kept = new Set(byName.values());
  return { byName, nextStateId, dropped: new Set([...written.values()].filter((stateId) => !kept.has(stateId))) };
}

/** From a part's numbers to ours; what is missing belongs to no state any more. Undefined when all of them are the same. */
export function renumbering(part: StatePart, ids: StateIds): ReadonlyMap<number, number> | undefined {
  const entries = part.declarations.states.flatMap(({ name }, index): (readonly [number, number])[] => {
    const now = ids.byName.get(name);
    return now === undefined ? [] : [[part.stateIds[index] as number, now]];
  });
  const isSame = entries.length === part.stateIds.length && entries.every(([written, now]) => written === now);
  return isSame ? undefined : new Map(entries);
}

/** Whether rows of both can be in one database as they are. */
export function haveSameStateIds(a: StatePart, b: StatePart): boolean {
  const idsOf = ({ declarations, stateIds, nextStateId }: StatePart): string =>
    JSON.stringify([nextStateId, ...declarations.states.map(({ name }, index) => `${stateIds[index]} ${name}`).sort()]);
  return idsOf(a) === idsOf(b);
}
