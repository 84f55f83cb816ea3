/**
 * Of one message in a status. An object may have 1.5 MiB in etcd, and a FlinkJob has a few dozen messages (conditions, problems, ten past rollouts), which nobody reads to the end when they are longer. Conditions of Kubernetes may
 * have 32 KiB.
 */
export const messageLengthMax = 4_096;
/** What went wrong is mostly said first, and its cause last. */
const tailLength = 1_024;

/** Head and tail of what is too long, and how much is missing between them. Of what has been cut once nothing more is cut. */
export function boundedMessage(text: string): string {
  if (text.length <= messageLengthMax) {
    return text;
  }
  // At the most as long as the number of all characters.
  const note = (omitted: number) => ` […${omitted} characters left out…] `;
  const headLength = messageLengthMax - tailLength - note(text.length).length;
  const omitted = text.length - headLength - tailLength;
  return `${text.slice(0, headLength)}${note(omitted)}${text.slice(-tailLength)}`.toWellFormed();
}

/** Every `message` and `remedy` in a status, however deep. The same object where none is too long. */
export function withBoundedMessages<T>(value: T): T {
  if (typeof value !== 'object' || value === null) {
    return value;
  }
  if (Array.isArray(value)) {
    const entries = value.map((entry: unknown) => withBoundedMessages(entry));
    return entries.some((entry, index) => entry !== value[index]) ? (entries as T) : value;
  }
  const fields = Object.entries(value).map(([name, field]: [string, unknown]) => {
    const isText = (name === 'message' || name === 'remedy') && typeof field === 'string';
    return [name, isText ? boundedMessage(field) : withBoundedMessages(field)] as const;
  });
  const before = value as Readonly<Record<string, unknown>>;
  return fields.some(([name, field]) => field !== before[name]) ? (Object.fromEntries(fields) as T) : value;
}
