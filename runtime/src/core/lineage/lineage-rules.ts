import type { FencingToken } from '../fencing-token.ts';
import { compareFencingTokens } from '../fencing-token.ts';
import { afterPut, classifyCollision, fences } from './append.ts';
import { condemnableNames, forgettableNames, namesToAsk } from './forgetting.ts';
import { forkSteps } from './fork.ts';
import {
  deletableCondemnations,
  namesToCondemn,
  nextOldestNumber,
  orphans,
  renewal,
  subsumedCheckpoints,
  trimmedEntries,
} from './housekeeping.ts';
import { checkpointDirectory, sharedFilePath } from './object-paths.ts';
import { decideOpen } from './open.ts';
import { isSameContent } from './same-content.ts';

/**
 * Every decision of the lineage protocol that a JobManager or a TaskManager takes, as a record of pure functions. Shells receive it as an argument, so that
 * the simulator can replace one function by a wrong one and prove that it would notice.
 */
export interface LineageRules {
  readonly afterPut: typeof afterPut;
  readonly classifyCollision: typeof classifyCollision;
  readonly fences: typeof fences;
  readonly decideOpen: typeof decideOpen;
  readonly checkpointDirectory: typeof checkpointDirectory;
  readonly sharedFilePath: typeof sharedFilePath;
  readonly isSameContent: typeof isSameContent;
  readonly forgettableNames: typeof forgettableNames;
  readonly forkSteps: typeof forkSteps;
  readonly subsumedCheckpoints: typeof subsumedCheckpoints;
  readonly namesToCondemn: typeof namesToCondemn;
  readonly orphans: typeof orphans;
  readonly namesToAsk: typeof namesToAsk;
  readonly condemnableNames: typeof condemnableNames;
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
  sharedFilePath,
  isSameContent,
  forgettableNames,
  forkSteps,
  subsumedCheckpoints,
  namesToCondemn,
  orphans,
  namesToAsk,
  condemnableNames,
  deletableCondemnations,
  nextOldestNumber,
  trimmedEntries,
  renewal,
  acceptsToken,
};
