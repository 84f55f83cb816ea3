/** The candidate that was most likely meant: the only one that begins so, or the closest one by few slips of the fingers. */
export function nearestName(typed: string, candidates: readonly string[]): string | undefined {
  const begun = typed.length >= 2 ? candidates.filter((candidate) => candidate.startsWith(typed)) : [];
  if (begun.length === 1) {
    return begun[0];
  }
  const slipsMax = Math.ceil(typed.length / 3);
  const ranked = candidates
    .map((candidate) => ({ candidate, slips: slipsBetween(typed.toLowerCase(), candidate.toLowerCase()) }))
    .sort((a, b) => a.slips - b.slips);
  const [best] = ranked;
  return best !== undefined && best.slips <= slipsMax ? best.candidate : undefined;
}

/** Letters missing, too many or wrong. */
function slipsBetween(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const replaced = (previous[column - 1] as number) + (a[row - 1] === b[column - 1] ? 0 : 1);
      current.push(Math.min(replaced, (previous[column] as number) + 1, (current[column - 1] as number) + 1));
    }
    previous = current;
  }
  return previous[b.length] as number;
}
