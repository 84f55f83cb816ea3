import { nearestName } from '../api/nearest-name.ts';

/** The candidate that a person most likely meant: the only one that begins so, or one that differs by a typing mistake. */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  const begun = candidates.filter((candidate) => word.length >= 2 && candidate.startsWith(word.toLowerCase()));
  return begun.length === 1 ? begun[0] : nearestName(word, candidates);
}
