/** A record as people read it: text as it is, an object as the tuple of its values. */
export function formatRecord(record: unknown): string {
  if (typeof record === 'string') {
    return record;
  }
  if (typeof record !== 'object' || record === null) {
    return String(record);
  }
  if (Array.isArray(record)) {
    return `[${record.map(formatRecord).join(', ')}]`;
  }
  if (record instanceof Date) {
    return record.toISOString();
  }
  if (record instanceof Uint8Array) {
    return Buffer.from(record).toString('hex');
  }
  if (record instanceof Map) {
    return `{${[...record].map(([key, value]) => `${formatRecord(key)}=${formatRecord(value)}`).join(', ')}}`;
  }
  if (record instanceof Set) {
    return `{${[...record].map(formatRecord).join(', ')}}`;
  }
  return `(${Object.values(record).map(formatRecord).join(',')})`;
}
