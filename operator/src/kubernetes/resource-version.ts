/**
 * Which of two versions is newer. They are decimal numbers of one counter; the API promises since 1.35 what has always been so. What is no number is
 * from no API server, and never counts as reached.
 */
export function isAtLeast(version: string, wanted: string): boolean {
  const digits = /^\d+$/;
  return digits.test(version) && digits.test(wanted) && BigInt(version) >= BigInt(wanted);
}
