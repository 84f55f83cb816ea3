import type { SeededRandom } from './seeded-random.ts';

export interface HostileValues {
  /** Anything but what is asked for. */
  readonly hostile: () => unknown;
  /** `original` with one field replaced, behind a getter that throws, or behind a proxy. What is no object stays. */
  readonly hostileObject: (original: unknown) => unknown;
}

export function createHostileValues({ integer, chance, pick }: SeededRandom): HostileValues {
  const makers: readonly (() => unknown)[] = [
    ...[undefined, null, true, '', 'text', '\0', Symbol('s'), 10n, {}, [], Number.NaN, -1, 0.5, 1e300].map(
      (value) => () => value,
    ),
    ...[2 ** 32, 2 ** 53, Number.POSITIVE_INFINITY, 'x'.repeat(5000)].map((value) => () => value),
    () => integer(1e6),
    () => () => {},
    () => new Uint8Array(integer(100)),
    () => Buffer.from('a buffer of the pool'),
    () => new Uint8Array(64).subarray(integer(64)),
    () => new Uint32Array(integer(100)).fill(integer(2 ** 32)),
    () => new Float64Array(4),
    () => new BigUint64Array(4),
    () => new DataView(new ArrayBuffer(16)),
    () => new ArrayBuffer(16),
    () => new Uint8Array(new SharedArrayBuffer(64)),
    () => new Uint32Array(new SharedArrayBuffer(64)),
    () => new (class extends Uint8Array {})(16),
    detached,
    outOfBounds,
    () => new Proxy(new Uint8Array(8), {}),
    () => new Array(1e6),
    () => Object.create(null),
  ];

  function hostile(): unknown {
    return pick(makers)();
  }

  function hostileObject(original: unknown): unknown {
    if (typeof original !== 'object' || original === null || ArrayBuffer.isView(original)) {
      return original;
    }
    if (chance(0.2)) {
      return new Proxy(original, {});
    }
    const copy = Array.isArray(original) ? [...original] : { ...original };
    const field = pick(Object.keys(copy));
    if (field !== undefined && chance(0.2)) {
      Object.defineProperty(copy, field, {
        get() {
          throw new RangeError('a getter that throws');
        },
      });
    } else if (field !== undefined) {
      (copy as Record<string, unknown>)[field] = chance(0.3)
        ? hostileObject((copy as Record<string, unknown>)[field])
        : hostile();
    }
    return copy;
  }

  return { hostile, hostileObject };
}

function detached(): Uint8Array {
  const view = new Uint8Array(64);
  structuredClone(null, { transfer: [view.buffer] });
  return view;
}

/** Its buffer has shrunk to before where it begins. */
function outOfBounds(): Uint8Array {
  const resizable = new ArrayBuffer(64, { maxByteLength: 64 });
  const view = new Uint8Array(resizable, 32, 32);
  resizable.resize(8);
  return view;
}
