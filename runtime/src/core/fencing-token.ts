/**
 * Orders everything that acts on a job (lineage.md, rule 10): the epoch with which a JobManager opened the lineage, then the
 * execution attempt (the count of deployments under that JobManager, from 1). It travels in every message, channel handshake,
 * pending name and local directory; the holder of an older one is ignored.
 */
export interface FencingToken {
  readonly epoch: number;
  readonly executionAttempt: number;
}

/** Negative when `a` is older than `b`, zero when equal. */
export function compareFencingTokens(a: FencingToken, b: FencingToken): number {
  return a.epoch - b.epoch || a.executionAttempt - b.executionAttempt;
}

/** `e7a2`: how a token appears in file and directory names. */
export function formatFencingToken(token: FencingToken): string {
  return `e${token.epoch}a${token.executionAttempt}`;
}
