/**
 * Names of properties that were read lately, by their bytes. Objects of a stream have the same few names, and a name that was just decoded
 * is a string that V8 has never seen: it would be looked up among all names of the program at every assignment.
 */
export function findName(bytes: Uint8Array, start: number, count: number): string | undefined {
  const known = names[slotOf(bytes, start, count)];
  if (known === undefined || known.bytes.length !== count) {
    return undefined;
  }
  for (let index = 0; index < count; index++) {
    if (known.bytes[index] !== bytes[start + index]) {
      return undefined;
    }
  }
  return known.name;
}

/** Gives the name in the form that V8 has for it. */
export function rememberName(bytes: Uint8Array, start: number, count: number, text: string): string {
  if (count > rememberedSizeMax) {
    return text;
  }
  const [name = text] = Object.keys({ [text]: true });
  names[slotOf(bytes, start, count)] = { name, bytes: new Uint8Array(bytes.subarray(start, start + count)) };
  return name;
}

interface KnownName {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** Longer ones are hardly names, and could fill memory. */
const rememberedSizeMax = 40;

/** A power of two. A name that falls into the slot of another takes its place. */
const slotCount = 1024;

const names: (KnownName | undefined)[] = new Array(slotCount).fill(undefined);

function slotOf(bytes: Uint8Array, start: number, count: number): number {
  if (count === 0) {
    return 0;
  }
  const first = bytes[start] as number;
  const middle = bytes[start + (count >> 1)] as number;
  const last = bytes[start + count - 1] as number;
  return (first * 31 + middle * 7 + last * 3 + count * 131) & (slotCount - 1);
}
