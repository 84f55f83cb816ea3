const factors: Readonly<Record<string, number>> = {
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
};

/** What the schema allows for an amount of memory or disk: a whole number with one of Kubernetes' suffixes. */
export const sizePattern = /^([1-9][0-9]*)(Ki|Mi|Gi|Ti|k|M|G|T)?$/;

/** What the schema allows for an amount of CPU: `2`, `0.5`, `500m`. */
export const cpuPattern = /^([1-9][0-9]*m|[0-9]+(\.[0-9]{1,3})?)$/;

/** `512Mi` in bytes. The schema has checked the text. */
export function parseSizeBytes(quantity: string): number {
  const [, digits, suffix = ''] = sizePattern.exec(quantity) ?? [];
  const factor = factors[suffix];
  if (digits === undefined || factor === undefined) {
    throw new Error(`"${quantity}" is no amount of bytes`);
  }
  return Number(digits) * factor;
}
