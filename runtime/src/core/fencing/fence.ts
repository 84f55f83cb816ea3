import { compareFencingTokens, type FencingToken } from '../fencing-token.ts';

/**
 * What a TaskManager remembers to tell an old JobManager or deployment from the current one (lineage protocol, rule 10). It outlives
 * connections: a JobManager that was superseded must not get its TaskManagers back by answering first.
 */
export interface Fence {
  /** Highest epoch that any JobManager showed; 0 before the first. */
  readonly epoch: number;
  /** Newest token that was deployed or cancelled; undefined before the first. */
  readonly token: FencingToken | undefined;
}

export const openFence: Fence = { epoch: 0, token: undefined };

/** A message that carries only an epoch. `accepted` is false when its sender was superseded. */
export function admitEpoch(fence: Fence, epoch: number): { readonly accepted: boolean; readonly fence: Fence } {
  return epoch < fence.epoch ? { accepted: false, fence } : { accepted: true, fence: { ...fence, epoch } };
}

/**
 * A message about one deployment. `Older`: drop it. `Current`: about what runs. `Newer`: what runs is superseded; only `Deploy` and
 * `Cancel` may bring a newer token.
 */
export function admitToken(
  fence: Fence,
  token: FencingToken,
): { readonly age: 'Older' | 'Current' | 'Newer'; readonly fence: Fence } {
  if (token.epoch < fence.epoch) {
    return { age: 'Older', fence };
  }
  const order = fence.token === undefined ? 1 : compareFencingTokens(token, fence.token);
  if (order < 0) {
    return { age: 'Older', fence };
  }
  return { age: order === 0 ? 'Current' : 'Newer', fence: { epoch: token.epoch, token } };
}
