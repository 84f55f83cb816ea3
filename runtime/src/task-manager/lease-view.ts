/**
 * The lease as the slots' threads see it: the main thread writes when it ends, and a thread looks before it lets records or commits
 * out. So a process that was paused stops by itself, even if a slot's thread wakes up before the main thread does. Times are of the
 * machine's monotonic clock, which all threads share.
 */
export class LeaseView {
  readonly buffer: SharedArrayBuffer;
  readonly #expiresAtNs: BigInt64Array;

  constructor(buffer: SharedArrayBuffer = new SharedArrayBuffer(BigInt64Array.BYTES_PER_ELEMENT)) {
    this.buffer = buffer;
    this.#expiresAtNs = new BigInt64Array(buffer);
  }

  set(expiresAtMs: number): void {
    Atomics.store(this.#expiresAtNs, 0, BigInt(Math.round(expiresAtMs * 1e6)));
  }

  get isExpired(): boolean {
    return process.hrtime.bigint() >= Atomics.load(this.#expiresAtNs, 0);
  }
}

/** Of the clock that `LeaseView` compares with. */
export function machineMonotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
