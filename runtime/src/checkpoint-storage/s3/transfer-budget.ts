import { limits } from './limits.ts';

export interface TransferShare {
  readonly connectionCountMax: number;
  readonly uploadBytesInFlightMax: number;
}

/**
 * The part of the process's budget that one of its threads has. Fixed shares, and no counter between the threads: a thread that is terminated
 * in the middle takes nothing with it, and one that restores its state cannot make another's checkpoint wait.
 */
export function transferShare(threadCount: number): TransferShare {
  return {
    connectionCountMax: Math.max(limits.connectionCountPerThreadMin, Math.floor(limits.connectionCountMax / threadCount)),
    uploadBytesInFlightMax: Math.max(limits.partSizeBytes, Math.floor(limits.uploadBytesInFlightMax / threadCount)),
  };
}

/** Of all threads of a process, for its memory budget. */
export function clientSizeBytes(threadCount: number): number {
  const { uploadBytesInFlightMax } = transferShare(threadCount);
  return limits.sdkSizeBytes + threadCount * (limits.sdkThreadSizeBytes + uploadBytesInFlightMax);
}

interface Waiting {
  readonly bytes: number;
  readonly admit: () => void;
}

/**
 * Lets transfers of state begin as long as there are connections and room for bytes, in the order in which they asked. Each holds what it was
 * given for one request and asks for nothing more meanwhile, so that they never wait for each other in a ring.
 */
export class TransferBudget {
  readonly #share: TransferShare;
  readonly #waiting: Waiting[] = [];
  /** Kept while there are transfers: memory outside the heap that comes and goes makes V8 collect all of the heap again and again. */
  #buffers: Uint8Array[] = [];
  #connections = 0;
  #bytes = 0;

  constructor(share: TransferShare) {
    this.#share = share;
  }

  /** Runs `transfer` with a connection. */
  async use<T>(transfer: () => Promise<T>): Promise<T> {
    return await this.#whenAdmitted(0, transfer);
  }

  /** Runs `transfer` with a connection and a buffer of so many bytes, which is another's afterwards. */
  async useBuffer<T>(sizeBytes: number, transfer: (buffer: Uint8Array) => Promise<T>): Promise<T> {
    // A part can be larger than the share, of an object of more than 80 GB: it goes alone.
    const counted = Math.min(Math.max(sizeBytes, limits.partSizeBytes), this.#share.uploadBytesInFlightMax);
    return await this.#whenAdmitted(counted, async () => {
      if (sizeBytes > limits.partSizeBytes) {
        return await transfer(new Uint8Array(sizeBytes));
      }
      const buffer = this.#buffers.pop() ?? new Uint8Array(limits.partSizeBytes);
      try {
        return await transfer(buffer.subarray(0, sizeBytes));
      } finally {
        this.#buffers.push(buffer);
      }
    });
  }

  async #whenAdmitted<T>(bytes: number, transfer: () => Promise<T>): Promise<T> {
    await this.#admission(bytes);
    try {
      return await transfer();
    } finally {
      this.#connections -= 1;
      this.#bytes -= bytes;
      this.#admitWaiting();
      if (this.#connections === 0) {
        this.#buffers = [];
      }
    }
  }

  #admission(bytes: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push({ bytes, admit: resolve });
    this.#admitWaiting();
    return promise;
  }

  #admitWaiting(): void {
    for (let first = this.#waiting[0]; first !== undefined && this.#hasRoomFor(first.bytes); first = this.#waiting[0]) {
      this.#waiting.shift();
      this.#connections += 1;
      this.#bytes += first.bytes;
      first.admit();
    }
  }

  #hasRoomFor(bytes: number): boolean {
    const { connectionCountMax, uploadBytesInFlightMax } = this.#share;
    return this.#connections < connectionCountMax && this.#bytes + bytes <= uploadBytesInFlightMax;
  }
}
