export interface BackOff {
  readonly initialMs: number;
  readonly maxMs: number;
}

/**
 * Doubles with every failure in a row (`failures` ≥ 1) up to the most, of which between a half and the whole is waited, by chance: what failed together must not
 * come back together.
 */
export function backOffMs({ initialMs, maxMs }: BackOff, failures: number, random: () => number = Math.random): number {
  const exponent = Math.min(failures - 1, 30);
  const whole = Math.min(initialMs * 2 ** exponent, maxMs);
  return Math.round(whole / 2 + (whole / 2) * random());
}
