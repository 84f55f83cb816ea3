import type { FencingToken } from '../fencing-token.ts';
import { compareFencingTokens } from '../fencing-token.ts';
import { afterPut, classifyCollision, fences } from './append.ts';
import {
  deletableCondemnations,
  namesToCondemn,
  nextOldestNumber,
  orphans,
  renewal,
  subsumedCheckpoints,
  trimmedEntries,
} from './housekeeping.ts';
import { checkpointDirectory } from './object-paths.ts';
import { decideOpen } from './open.ts';

/**
 * Every decision of the lineage protocol that a JobManager takes, as a record of pure functions. Shells receive it as an argument, so that
 * the simulator can replace one function by a wrong one and prove that it would notice.
 */
export interface LineageRules {
  readonly afterPut: typeof afterPut;
  readonly classifyCollision: typeof classifyCollision;
  readonly fences: typeof fences;
  readonly decideOpen: typeof decideOpen;
  readonly checkpointDirectory: typeof checkpointDirectory;
  readonly subsumedCheckpoints: typeof subsumedCheckpoints;
  readonly namesToCondemn: typeof namesToCondemn;
  readonly orphans: typeof orphans;
  readonly deletableCondemnations: typeof deletableCondemnations;
  readonly nextOldestNumber: typeof nextOldestNumber;
  readonly trimmedEntries: typeof trimmedEntries;
  readonly renewal: typeof renewal;
  readonly acceptsToken: typeof acceptsToken;
}

/** Rule 10: whether a message may act on its receiver. What an older execution attempt says late must not. */
export function acceptsToken(message: FencingToken, current: FencingToken): boolean {
  return compareFencingTokens(message, current) === 0;
}

export const lineageRules: LineageRules = {
  afterPut,
  classifyCollision,
  fences,
  decideOpen,
  checkpointDirectory,
  subsumedCheckpoints,
  namesToCondemn,
  orphans,
  deletableCondemnations,
  nextOldestNumber,
  trimmedEntries,
  renewal,
  acceptsToken,
};
