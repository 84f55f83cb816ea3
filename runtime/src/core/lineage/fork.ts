export type ForkStep = 'Pin' | 'Read' | 'Unpin';

/**
 * Rule 14: in what order the files of another lineage are copied. Read first and pinned then, they could be condemned in between, by an owner that does not
 * know of us, and what was copied would end in the middle.
 */
export function forkSteps(): readonly ForkStep[] {
  return ['Pin', 'Read', 'Unpin'];
}
